use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/lib";
use ContextHelper;
use PAGI::Test::ConnectionState;

subtest 'stash, session, state' => sub {
    my ($ctx) = context_for({ type => 'http', 'pagi.session' => { user => 'a', _id => 1 }, state => { db => 1 } });
    isa_ok $ctx->stash, 'PAGI::Stash';
    ref_is $ctx->stash, $ctx->stash, 'stash is cached';
    $ctx->stash->set(a => 1);
    my $second = PAGI::Context->new($ctx->scope, sub { }, sub { });
    is $second->stash->get('a'), 1, 'shared by contexts of one scope';
    isa_ok $ctx->session, 'PAGI::Session';
    ref_is $ctx->session, $ctx->session, 'session is cached';
    is [ $ctx->has_session, $ctx->session->get('user') ], [ 1, 'a' ], 'session';
    is $ctx->state, { db => 1 }, 'state';

    my ($bare) = context_for('http');
    is $bare->has_session, 0, 'no session';
    like dies { $bare->session }, qr/^PAGI::Session requires/, 'session without middleware';
    is $bare->state, {}, 'no state';
    is exists $bare->scope->{state}, F, 'the default is not stored';
};

subtest csrf => sub {
    my ($ctx) = context_for({ type => 'http', csrf_token => 'secret' });
    is $ctx->csrf_token, 'secret', 'token';
    is [ map { $ctx->csrf_verify($_) } 'secret', 'Secret', 'secre', 'secret2', '', undef ], [ 1, 0, 0, 0, 0, 0 ], 'verify';
    my ($bare) = context_for('http');
    is [ $bare->csrf_token, $bare->csrf_verify('x'), $bare->csrf_verify(undef) ], [ undef, 0, 0 ], 'without middleware';
    my ($empty) = context_for({ type => 'http', csrf_token => '' });
    is $empty->csrf_verify(''), 0, 'empty tokens never match';
};

subtest connection => sub {
    my $connection = PAGI::Test::ConnectionState->new;
    my ($ctx) = context_for({ type => 'http', 'pagi.connection' => $connection });
    ref_is $ctx->connection, $connection, 'object';
    is [ $ctx->is_connected, $ctx->is_disconnected, $ctx->disconnect_reason ], [ 1, 0, undef ], 'open';
    my @seen;
    $ctx->on_disconnect(sub { push @seen, "disconnect @_" });
    $ctx->on_complete(sub { push @seen, 'complete' });
    $connection->_mark_disconnected('client_closed');
    is [ $ctx->is_connected, $ctx->is_disconnected, $ctx->disconnect_reason ], [ 0, 1, 'client_closed' ], 'closed';
    is \@seen, ['disconnect client_closed'], 'callbacks';

    $connection = PAGI::Test::ConnectionState->new;
    ($ctx) = context_for({ type => 'http', 'pagi.connection' => $connection });
    $ctx->on_complete(sub { push @seen, 'complete' });
    $connection->_mark_complete;
    is $seen[-1], 'complete', 'on_complete';

    my ($bare) = context_for('http');
    is [ map { $bare->$_ } qw(connection is_connected is_disconnected disconnect_reason) ], [ undef, 0, 1, undef ], 'without object';
    is [ $bare->on_disconnect(sub { }), $bare->on_complete(sub { }) ], [], 'registration does nothing';
};

{
    package t::Transport;
    sub buffered_amount { 5 }
    sub high_water_mark { 5 }
    sub low_water_mark  { 1 }
    sub on_drain        { $_[0]{drain} = $_[1] }
}

subtest transport => sub {
    for my $type (qw(http websocket sse)) {
        my $transport = bless {}, 't::Transport';
        my ($ctx) = context_for({ type => $type, 'pagi.transport' => $transport });
        is [ map { $ctx->$_ } qw(buffered_amount high_water_mark low_water_mark is_writable) ], [ 5, 5, 1, 0 ], "$type: delegates";
        my $callback = sub { };
        ref_is $ctx->on_high_water($callback)->on_drain($callback), $ctx, 'chains, also where the handle lacks one';
        ref_is $transport->{drain}, $callback, 'registered';
        my ($bare) = context_for($type);
        is [ map { $bare->$_ } qw(buffered_amount high_water_mark low_water_mark is_writable) ], [ 0, undef, undef, 1 ], "$type: absent";
    }
};

done_testing;
