package PAGI::App::SSE::Stream;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::App::Support::Answer qw(unsupported);
use PAGI::App::Support::Callback qw(call);
use PAGI::App::Support::EventStream;
use PAGI::Utils::Turn qw(next_turn);

my $TURN = 16;    # events

sub new {
    my ($class, %args) = @_;
    croak 'PAGI::App::SSE::Stream needs a generator, a coderef called with ($send_event, $scope)'
        unless ref $args{generator} eq 'CODE';
    return bless {
        generator  => $args{generator},
        retry      => $args{retry},
        headers    => $args{headers} // [],
        on_connect => $args{on_connect},
        on_close   => $args{on_close},
    }, $class;
}

sub to_app {
    my ($self) = @_;
    my $fixed = bless { %$self }, ref $self;
    return sub {
        my ($scope, $receive, $send) = @_;
        return unsupported($scope) unless PAGI::App::Support::EventStream->accepts($scope);
        return $fixed->_serve($scope, $receive, $send);
    };
}

async sub _serve {
    my ($self, $scope, $receive, $send) = @_;
    my $stream = PAGI::App::Support::EventStream->new($scope, $send);
    await $stream->start(@{ $self->{headers} });
    if (defined $self->{retry}) {
        my ($event) = $stream->retry($self->{retry});
        await $send->($event) if $event;
    }
    await call($self->{on_connect}, $scope);

    my ($closed, $count) = (0, 0);
    my $send_event = sub {
        my ($message) = @_;
        return Future->done if $closed;
        $message = { data => $message } unless ref $message eq 'HASH';
        my $sent = $send->($stream->message($message));
        # A generator that waits for nothing but this would never hear that the client has gone.
        return ++$count % $TURN ? $sent : next_turn() if $sent->is_done;
        return $sent->on_fail(sub { $closed = 1 });
    };
    my $generated = _guarded($self->{generator}, $send_event, $scope);
    if (!$generated->is_ready) {
        # Whichever ends first ends the other: a generator has nobody to talk to when the client has gone.
        await Future->wait_any($generated, $stream->client_gone($receive));
    }
    await call($self->{on_close}, $scope);
    await $stream->finish;
    return;
}

# The stream is under way: an error cannot become an answer any more, it only ends the stream.
async sub _guarded {
    my ($generator, $send_event, $scope) = @_;
    eval { await call($generator, $send_event, $scope); 1 } or warn "The generator of an event stream failed: $@";
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::SSE::Stream - an event stream from a generator

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use Future::IO;
    use PAGI::App::SSE::Stream;

    my $app = PAGI::App::SSE::Stream->new(
        retry     => 3000,
        generator => async sub {
            my ($send_event, $scope) = @_;
            for my $n (1 .. 10) {
                await $send_event->({ event => 'tick', id => $n, data => "tick $n" });
                await Future::IO->sleep(1);
            }
        },
    )->to_app;

=head1 DESCRIPTION

Each request starts a stream (200, C<text/event-stream>, C<cache-control: no-cache>, C<connection: keep-alive>) and calls the generator for
it. The stream ends when the generator does; when the client goes, the Future of the generator is cancelled. An exception in it is
warned and ends the stream. The scope may be C<http> or, as for an C<EventSource>, C<sse>; other types are rejected: the
Future fails.

=head1 METHODS

=head2 new

=over

=item generator

Required coderef C<($send_event, $scope)>, usually async. C<$send_event> takes a hashref of C<event>, C<id> and C<data>
(characters), or the data alone, and returns a L<Future>. After a failed send it does nothing.

=item retry

Reconnection time for clients in milliseconds, sent first; on an C<sse> scope with the first event.

=item headers

Arrayref of further C<[name, value]> pairs.

=item on_connect, on_close

Called with the scope at the beginning and at the end; may return a L<Future>.

=back

Croaks C<PAGI::App::SSE::Stream needs a generator, a coderef called with ($send_event, $scope)>.

=head2 to_app

The app.

=cut
