use strict;
use warnings;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Test::Client;

our @log;

{
    package t::Echo;
    use parent 'PAGI::Endpoint::WebSocket';
    use Future::AsyncAwait;
    our $instances = 0;
    sub new { my $class = shift; $instances++; return $class->SUPER::new(@_) }
    async sub on_connect    { my ($self, $ctx) = @_; push @main::log, 'connect ' . ref $ctx; await $ctx->accept; await $ctx->send_text('hi') }
    async sub on_receive    { my ($self, $ctx, $data) = @_; push @main::log, "receive $data"; await $ctx->send_text('echo ' . ++$self->{count} . " $data") }
    sub on_disconnect { my ($self, $ctx, $code, $reason) = @_; push @main::log, "disconnect $code $reason" }

    package t::Json;
    use parent -norequire, 'PAGI::Endpoint::WebSocket';
    sub encoding { 'json' }
    sub on_receive    { my ($self, $ctx, $data) = @_; push @main::log, $data; return 'a plain value' }
    sub on_disconnect { push @main::log, 'disconnect' }

    package t::Bytes;
    use parent -norequire, 'PAGI::Endpoint::WebSocket';
    sub encoding { 'bytes' }
    sub on_receive { my ($self, $ctx, $data) = @_; push @main::log, $data }

    package t::Odd;
    use parent -norequire, 't::Bytes';
    sub encoding { 'klingon' }

    package t::Dying;
    use parent -norequire, 'PAGI::Endpoint::WebSocket';
    sub on_receive    { die "oops\n" }
    sub on_disconnect { my ($self, $ctx, $code, $reason) = @_; push @main::log, [ $code, $reason ] }

    package t::Refusing;
    use parent -norequire, 'PAGI::Endpoint::WebSocket';
    async sub on_connect { my ($self, $ctx) = @_; my $how = $self->{how} || 'close'; await $ctx->$how }
    sub on_disconnect { push @main::log, 'disconnect' }
    sub on_receive    { push @main::log, 'receive' }

    package t::Bare;
    use parent -norequire, 'PAGI::Endpoint::WebSocket';
}

# Runs an app over these events; returns (future, sent events)
sub run {
    my ($app, @events) = @_;
    my @sent;
    my $future = $app->({ type => 'websocket', path => '/', headers => [] },
        sub { @events ? Future->done(shift @events) : Future->new }, sub { push @sent, $_[0]; Future->done });
    return ($future, \@sent);
}

sub text  { { type => 'websocket.receive', text => $_[0] } }
sub bytes { { type => 'websocket.receive', bytes => $_[0] } }
my $connect = { type => 'websocket.connect' };
my $gone    = { type => 'websocket.disconnect', code => 1001, reason => 'bye' };

subtest defaults => sub {
    is(PAGI::Endpoint::WebSocket->encoding, 'text', 'encoding');
    is(PAGI::Endpoint::WebSocket->context_class, 'PAGI::Context', 'context class');
    is ref t::Echo->to_app, 'CODE', 'an application';
};

subtest lifecycle => sub {
    @log = ();
    my ($future, $sent) = run(t::Echo->to_app, $connect, text('a'), bytes('skipped'), text('0'), text(''), $gone);
    is [ $future->get ], [], 'ends';
    is \@log, [ 'connect PAGI::Context::WebSocket', 'receive a', 'receive 0', 'receive ', 'disconnect 1001 bye' ],
        'in order; "0" and "" are messages too';
    is [ map { $_->{text} // $_->{type} } @$sent ], [ 'websocket.accept', 'hi', 'echo 1 a', 'echo 2 0', 'echo 3 ' ], 'sent';
};

subtest instances => sub {
    $t::Echo::instances = 0;
    my $app = t::Echo->to_app;
    for (1, 2) {
        my (undef, $sent) = run($app, $connect, text('a'), $gone);
        is $sent->[-1]{text}, 'echo 1 a', 'its own object';
    }
    is $t::Echo::instances, 2, 'one per connection';
    $app = t::Echo->new(count => 40)->to_app;
    for (1, 2) {
        my (undef, $sent) = run($app, $connect, text('a'), $gone);
        is $sent->[-1]{text}, 'echo 41 a', 'to_app on an object: a copy per connection';
    }
};

subtest encodings => sub {
    @log = ();
    my ($future, $sent) = run(t::Json->to_app, $connect, text("{\"a\":\"\x{e9}\x{3042}\"}"), $gone);
    is [ \@log, $future->is_done ], [ [ { a => "\x{e9}\x{3042}" }, 'disconnect' ], T ], 'json: characters; accepted without on_connect';
    is $sent->[0]{type}, 'websocket.accept', 'accepted';
    @log = ();
    ($future) = run(t::Json->to_app, $connect, text('{oops'), $gone);
    ok $future->failure, 'json: invalid text ends the application';

    @log = ();
    run(t::Bytes->to_app, $connect, text('skipped'), bytes("\xff"), $gone);
    is \@log, ["\xff"], 'bytes';
    @log = ();
    run(t::Odd->to_app, $connect, text('x'), bytes("\xff"), $gone);
    is \@log, ['x'], 'anything else acts as text';
};

subtest 'a dying on_receive' => sub {
    @log = ();
    my ($future) = run(t::Dying->to_app, $connect, text('x'), $gone);
    is scalar $future->failure, "oops\n", 'the error is passed on';
    is \@log, [ [ undef, undef ] ], 'after on_disconnect, without a code';
};

subtest 'a refused connection' => sub {
    for my $how (qw(close deny)) {
        @log = ();
        my ($future, $sent) = run(t::Refusing->new(how => $how)->to_app, $connect, text('x'), $gone);
        ok $future->is_done, $how;
        is [ \@log, scalar(@$sent), $sent->[0]{type} ], [ [], 1, 'websocket.close' ], 'neither on_receive nor on_disconnect';
    }
};

subtest 'without on_receive' => sub {
    my ($future, $sent) = run(t::Bare->to_app, $connect, text('x'), $gone);
    ok $future->is_done, 'runs until the end';
    is [ map { $_->{type} } @$sent ], ['websocket.accept'], 'accepted';
};

subtest 'other scopes' => sub {
    for my $case ([ http => 'http' ], [ undef, 'http' ], [ sse => 'sse' ]) {
        my ($type, $shown) = @$case;
        my $future = t::Echo->to_app->({ defined $type ? (type => $type) : () }, sub { }, sub { });
        like scalar $future->failure, qr/^Expected websocket scope, got '$shown' at/, $type // 'no type';
    }
};

subtest 'with the test client' => sub {
    @log = ();
    PAGI::Test::Client->new(app => 't::Echo')->websocket('/', sub {
        my ($ws) = @_;
        is $ws->receive_text, 'hi', 'greeting';
        $ws->send_text("\x{e9}");
        is $ws->receive_text, "echo 1 \x{e9}", 'echo';
        $ws->close(1000, 'done');
    });
    is $log[-1], 'disconnect 1000 done', 'disconnect';
};

done_testing;
