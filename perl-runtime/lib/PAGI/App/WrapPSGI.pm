package PAGI::App::WrapPSGI;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::App::Support::Answer qw(unsupported);
use PAGI::App::Support::Spool;
use PAGI::App::WrapPSGI::Environment qw(environment pool_size);
use PAGI::App::WrapPSGI::Response qw(send_response);

sub new {
    my ($class, %args) = @_;
    croak 'PAGI::App::WrapPSGI needs psgi_app, a PSGI application (coderef)'
        unless ref $args{psgi_app} && (ref $args{psgi_app} eq 'CODE' || eval { \&{ $args{psgi_app} } });
    return bless { psgi_app => $args{psgi_app}, harakiri => $args{harakiri}, pool => $args{pool} // 1 }, $class;
}

sub to_app {
    my ($self) = @_;
    my ($psgi_app, $harakiri, $pool) = @$self{qw(psgi_app harakiri pool)};
    return sub {
        my ($scope, $receive, $send) = @_;
        return unsupported($scope) if ($scope->{type} // '') ne 'http';
        my $pool_size = pool_size();
        if ($pool && $pool_size && (my $answered = _hand_over($scope))) {
            return $answered;
        }
        # A process of the pool may block, and can be replaced.
        my $kill = $harakiri // (defined $pool_size && !$pool_size ? \&_replace_process : undef);
        # Most requests come with all of their body in the first event.
        my $received = $receive->();
        my $event = $received->is_done ? $received->get : undef;
        return _call($scope, $send, \($event->{body} // ''), $psgi_app, $kill, $pool_size)
            if $event && $event->{type} eq 'http.request' && !$event->{more};
        return _spooled($scope, $receive, $received, $send, $psgi_app, $kill, $pool_size);
    };
}

# A Future for the end of the answer, when the server takes the request for its pool.
sub _hand_over {
    my ($scope) = @_;
    my $connection = $scope->{'pagi.connection'} or return;
    return $connection->can('hand_over') && $connection->hand_over;
}

async sub _spooled {
    my ($scope, $receive, $received, $send, @rest) = @_;
    my $spool = PAGI::App::Support::Spool->new;
    await $spool->fill($receive, $received) or return;
    return await _call($scope, $send, $spool, @rest);
}

# $body: a spool, or a reference to the bytes
sub _call {
    my ($scope, $send, $body, $psgi_app, $harakiri, $pool_size) = @_;
    my ($input, $length) = ref $body ne 'SCALAR' ? ($body->handle, $body->length) : length $$body ? (_in_memory($body), length $$body) : (_empty(), 0);
    my $may_block = defined $pool_size && !$pool_size;
    my $env = environment($scope, $input, $length,
        $harakiri ? ('psgix.harakiri' => 1) : (), $may_block ? ('psgi.nonblocking' => 0) : ());
    my $sent = eval { send_response($send, $psgi_app->($env), $scope->{'pagi.connection'}, $may_block) } || Future->fail($@);
    return $sent if $sent->is_done && !$env->{'psgix.harakiri.commit'} && !@{ $env->{'psgix.cleanup.handlers'} || [] };
    my $connection = $scope->{'pagi.connection'};
    undef $connection unless $connection && $connection->can('on_complete');
    my $ended = Future->new;
    $sent->on_ready(sub { _after_response($connection, sub { _clean_up($env, $harakiri); $ended->done }) });
    # Our server does not stop before the end then. Others may announce the completion only when the application has returned, and
    # what is incomplete waits for the server.
    return $sent unless defined &PAGI::Native::turn && $connection;
    return $sent->then(sub { return $connection->response_started ? $ended : Future->done });
}

# When the client has all it gets: what is sent waits in the server while Perl runs (CONN-21).
sub _after_response {
    my ($connection, $code) = @_;
    return $code->() unless $connection;
    my $once = sub { $code->() if $code; undef $code };
    $connection->on_complete($once);
    $connection->on_disconnect($once);
    return;
}

sub _in_memory {
    my ($bytes) = @_;
    open my $handle, '<', $bytes or die "Cannot open a handle in memory: $!\n";
    return $handle;
}

# Requests without a body share a handle, until one of them closes it or gives it a layer.
my $empty;
sub _empty {
    return $empty if $empty && defined fileno $empty && tell($empty) == 0 && 1 == (() = PerlIO::get_layers($empty));
    return $empty = _in_memory(\'');
}

# A pool process that is asked to stop finishes what it has begun and is replaced. It may take another request before it stops,
# which a second signal would cut off.
my $is_to_stop;
sub _replace_process { kill TERM => $$ if !$is_to_stop++; return }

# What the PSGI extensions promise for the time after the response.
sub _clean_up {
    my ($env, $harakiri) = @_;
    my $handlers = $env->{'psgix.cleanup.handlers'};
    for my $handler (ref $handlers eq 'ARRAY' ? @$handlers : ()) {
        eval { $handler->($env); 1 } or $env->{'psgi.errors'}->print("A cleanup handler failed: $@");
    }
    $harakiri->($env) if $harakiri && $env->{'psgix.harakiri.commit'};
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapPSGI - run a PSGI application

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::WrapPSGI;

    my $psgi = sub {
        my ($env) = @_;
        return [200, ['Content-Type' => 'text/plain'], ["Hello, $env->{REMOTE_ADDR}\n"]];
    };
    my $app = PAGI::App::WrapPSGI->new(psgi_app => $psgi)->to_app;

=head1 DESCRIPTION

When the server was started with C<--pool N>, each request is handed as a whole to one of N processes that do nothing else:
the worker keeps the client and goes on serving others, and the process blocks as it likes. The application is routed to once
more there, so middleware around it sees the request in both processes and the response in the pool process only.

Without a pool, or with C<< pool => 0 >>, the request body is read first, in a temporary file if it is longer than 64 KiB; then the
PSGI application is called, in this process and on this event loop: while it computes or waits for a database, other requests of
the worker wait. Other scope types are rejected:
the Future fails.

The environment is complete (PSGI 1.1, see L<PAGI::App::WrapPSGI::Environment>), with the extensions

=over

=item psgix.input.buffered

True: C<psgi.input> is seekable.

=item psgix.cleanup, psgix.cleanup.handlers

Handlers are called with the environment when the response has been sent. One that dies is reported to C<psgi.errors>.

=item psgix.harakiri

True with the C<harakiri> option, and in processes of the server's pool: one whose application sets C<psgix.harakiri.commit> stops after the
response and is replaced.

=item psgix.logger

Writes C<[level] message> to C<psgi.errors>, which is STDERR.

=item psgix.io

The scope key of this name, if something put the client's socket there. The server keeps its sockets, so normally it is absent.

=back

All forms of responses work: arrays, handles, objects with C<getline> (and C<close>), objects with C<path>, delayed and streaming
responses, also when the responder is called, or the writer used, after the application has returned. Files and other real
handles are sent by the server itself. As an extension a body may be a coderef that returns chunks until undef. Bodies are bytes: characters above 0xFF are an
exception.

In a process of the pool C<write> waits for a slow client, and dies when the client has gone. Elsewhere it cannot wait, and what was written and not read yet is kept in memory; C<getline>
is called as fast as the client reads everywhere.

An exception before the response has started makes the request fail: the server answers 500.

=head1 METHODS

=head2 new

=over

=item psgi_app

Required coderef. Croaks C<PAGI::App::WrapPSGI needs psgi_app, a PSGI application (coderef)>.

=item pool

True by default: requests go to the pool when the server has one. False keeps them in the worker, for an application that does not
block.

=item harakiri

Coderef called with the environment, after cleanup handlers, when the application has set C<psgix.harakiri.commit>: it should
have the process replaced. In processes of the pool this is there without the option.

=back

=head2 to_app

The app.

=head1 SEE ALSO

L<PAGI::App::WrapCGI>, L<PSGI::Extensions|https://metacpan.org/pod/PSGI::Extensions>

=cut
