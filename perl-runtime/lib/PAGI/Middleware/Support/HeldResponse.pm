package PAGI::Middleware::Support::HeldResponse;

use strict;
use warnings;

use Future;
use Scalar::Util qw(blessed);
use PAGI::Middleware::Support::Reply qw(in_turn);

# waiting: no start yet; held: start kept back; open: everything passes through.
sub new {
    my ($class, %args) = @_;
    return bless { state => 'waiting', %args }, $class;
}

sub run {
    my ($self, $app, $scope, $receive) = @_;
    my $done = $app->($scope, $receive, sub { $self->_event($_[0]) });
    return $done unless blessed $done && $done->isa('Future');
    if ($done->is_done) {
        return $self->{state} eq 'held' ? $self->_end : $done;
    }
    return $done->then(sub { $self->{state} eq 'held' ? $self->_end : Future->done });
}

sub _event {
    my ($self, $event) = @_;
    return $self->{send}->($event)
        if $self->{state} eq 'open' || ref $event ne 'HASH';
    my $type = $event->{type} // '';

    if ($self->{state} eq 'waiting') {
        return $self->{send}->($event) if $type ne 'http.response.start';
        # TRLR-4: a length or a rewritten body would invalidate promised trailers.
        if ($event->{trailers} || !$self->{hold}->($event)) {
            $self->{state} = 'open';
            return $self->{send}->($event);
        }
        $self->{state} = 'held';
        $self->{start} = {%$event};
        return Future->done;
    }

    my $body = $type eq 'http.response.body' ? _whole_body($event) : undef;
    my $start = $self->_take_start;
    return in_turn($self->{send}, $self->_aside($start), $event) unless defined $body;
    return in_turn($self->{send}, $self->{release}->($start, $event, $body));
}

# Only a body that is complete and at hand can be worked on: not a stream, not a
# file the server reads itself, not text that has no bytes (the server rejects it).
sub _whole_body {
    my ($event) = @_;
    return if $event->{more} || defined $event->{file} || defined $event->{fh};
    my $bytes = $event->{body} // '';
    return if ref $bytes || !utf8::downgrade($bytes, 1);
    return $bytes;
}

sub _end {
    my ($self) = @_;
    my $start = $self->_take_start;
    return $self->{send}->($self->{bodiless} ? $self->{bodiless}->($start) : $self->_aside($start));
}

sub _aside {
    my ($self, $start) = @_;
    return $self->{aside} ? $self->{aside}->($start) : $start;
}

sub _take_start {
    my ($self) = @_;
    $self->{state} = 'open';
    return delete $self->{start};
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::HeldResponse - keep a response start until its body is known

=head1 SYNOPSIS

    use PAGI::Middleware::Support::HeldResponse;

    sub wrap {
        my ($self, $app) = @_;
        return sub {
            my ($scope, $receive, $send) = @_;
            return $app->($scope, $receive, $send) if $scope->{type} ne 'http';
            return PAGI::Middleware::Support::HeldResponse->new(
                send    => $send,
                hold    => sub { my ($start) = @_; $start->{status} == 200 },
                release => sub { my ($start, $event, $body) = @_; ($start, $event) },
            )->run($app, $scope, $receive);
        };
    }

=head1 DESCRIPTION

C<GZip>, C<ETag>, C<ContentLength> and C<Debug> need the whole body before they
can write the head. An object of this class is made per request and decides, in one
place and the same way for all of them, when that is possible.

The start event is kept back. A complete body (C<more> false, C<body> bytes) is given
to C<release>, and what that returns goes out at once. Everything else goes out
unchanged and in order: a streamed body, a C<file> or C<fh> body, promised trailers,
any other event. When the application fails, a kept-back start is dropped, so that an
outer error handler can still answer.

=head1 METHODS

=head2 new(%args)

=over 4

=item send

The send coderef to forward to.

=item hold

C<< $hold->($start) >>, true when this response is of interest.

=item release

C<< $release->($start, $body_event, $bytes) >> returns the list of events to send.

=item aside

Optional: C<< $aside->($start) >> returns the start event to send when the body cannot be worked on.

=item bodiless

Optional: C<< $bodiless->($start) >> returns the start event to send when the
application ended without any body event.

=back

=head2 run($app, $scope, $receive)

Calls the application and returns its Future.

=cut
