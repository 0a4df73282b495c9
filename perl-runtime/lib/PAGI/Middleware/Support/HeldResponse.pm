package PAGI::Middleware::Support::HeldResponse;

use strict;
use warnings;

use Future;
use Scalar::Util qw(blessed);

# The answer to a start that is held. Done Futures do not change, so one is enough for all.
my $TAKEN = Future->done;

sub new {
    my ($class, %rules) = @_;
    return bless {%rules}, $class;
}

# What is kept per request are the lexicals here: a start that is held, and whether anything may still be.
sub run {
    my ($self, $app, $scope, $receive, $send) = @_;
    my ($start, $open);
    my $done = $app->($scope, $receive, sub {
        my ($event) = @_;
        return $send->($event) if $open || ref $event ne 'HASH';
        my $type = $event->{type} // '';

        if (!$start) {
            return $send->($event) if $type ne 'http.response.start';
            # TRLR-4: a length or a rewritten body would invalidate promised trailers.
            if ($event->{trailers} || !$self->{hold}->($event, $scope)) {
                $open = 1;
                return $send->($event);
            }
            $start = {%$event};
            return $TAKEN;
        }

        $open = 1;
        my $held = $start;
        undef $start;
        my $body = $type eq 'http.response.body' ? _whole_body($event) : undef;
        my ($first, $second) = defined $body ? $self->{release}->($held, $event, $body, $scope) : ($self->_aside($held), $event);
        my $sent = $send->($first);
        return $send->($second) if $sent->is_done;
        return $sent->then(sub { $send->($second) });
    });
    return $done unless blessed $done && $done->isa('Future');
    if ($done->is_done) {
        return $start ? $send->($self->_bodiless($start, $scope)) : $done;
    }
    return $done->then(sub { $start ? $send->($self->_bodiless($start, $scope)) : Future->done });
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

sub _bodiless {
    my ($self, $start, $scope) = @_;
    return $self->{bodiless} ? $self->{bodiless}->($start, $scope) : $self->_aside($start);
}

sub _aside {
    my ($self, $start) = @_;
    return $self->{aside} ? $self->{aside}->($start) : $start;
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
        my $held = PAGI::Middleware::Support::HeldResponse->new(
            hold    => sub { my ($start) = @_; $start->{status} == 200 },
            release => sub { my ($start, $event, $body) = @_; ($start, $event) },
        );
        return sub {
            my ($scope, $receive, $send) = @_;
            return $app->($scope, $receive, $send) if $scope->{type} ne 'http';
            return $held->run($app, $scope, $receive, $send);
        };
    }

=head1 DESCRIPTION

C<GZip>, C<ETag> and C<ContentLength> need the whole body before they
can write the head. An object of this class decides, in one place and the same way for
all of them, when that is possible. It is made once, by C<wrap>, and serves all requests.

The start event is kept back. A complete body (C<more> false, C<body> bytes) is given
to C<release>, and what that returns goes out at once. Everything else goes out
unchanged and in order: a streamed body, a C<file> or C<fh> body, promised trailers,
any other event. When the application fails, a kept-back start is dropped, so that an
outer error handler can still answer.

=head1 METHODS

=head2 new(%args)

=over 4

=item hold

C<< $hold->($start, $scope) >>, true when this response is of interest.

=item release

C<< $release->($start, $body_event, $bytes, $scope) >> returns the two events to send. C<$start> is a copy of the
application's event that may be changed; its header array is the application's own.

=item aside

Optional: C<< $aside->($start) >> returns the start event to send when the body cannot be worked on.

=item bodiless

Optional: C<< $bodiless->($start, $scope) >> returns the start event to send when the
application ended without any body event.

=back

=head2 run($app, $scope, $receive, $send)

Calls the application and returns its Future.

=cut
