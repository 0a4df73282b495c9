package PAGI::App::WrapPSGI::Response;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;
use PAGI::App::WrapPSGI::Body;
use PAGI::App::WrapPSGI::Responder;
use PAGI::Middleware::Support::Reply qw(in_turn);

sub new {
    my ($class, $send) = @_;
    return bless { send => $send }, $class;
}

sub send {
    my ($self, $response) = @_;
    return $self->complete($response) if ref $response eq 'ARRAY';
    return PAGI::App::WrapPSGI::Responder->new($self)->run($response) if ref $response && ref $response ne 'HASH' && _is_code($response);
    return Future->fail('The PSGI application returned ' . (defined $response ? "'$response'" : 'undef')
        . ', an arrayref or a coderef was expected' . "\n");
}

sub complete {
    my ($self, $response) = @_;
    my ($status, $headers, $body) = @$response;
    return Future->fail("A PSGI response needs a status, headers and a body\n")
        unless @$response == 3 && ref $headers eq 'ARRAY' && defined $body;

    my $start = start_event($status, $headers);
    return in_turn($self->{send}, $start,
        { type => 'http.response.body', body => join('', map { $_ // '' } @$body), more => 0 }) if ref $body eq 'ARRAY';
    return in_turn($self->{send}, $start, { type => 'http.response.body', body => $body, more => 0 }) unless ref $body;
    return $self->_stream($start, PAGI::App::WrapPSGI::Body->new($body));
}

sub start_event {
    my ($status, $headers) = @_;
    my @headers;
    for (my $i = 0; $i < @$headers; $i += 2) {
        push @headers, [lc $headers->[$i], $headers->[$i + 1] // ''];
    }
    return { type => 'http.response.start', status => $status, headers => \@headers };
}

async sub _stream {
    my ($self, $start, $body) = @_;
    my $send = $self->{send};
    my $ok = eval {
        await $send->($start);
        if (my $whole = $body->event) {
            await $send->($whole);
        }
        else {
            # Every chunk is read before the send is waited for: nothing local may live across an await.
            while (defined(my $chunk = $body->next_chunk)) {
                await $send->({ type => 'http.response.body', body => $chunk, more => 1 });
            }
            await $send->({ type => 'http.response.body', body => '', more => 0 });
        }
        1;
    };
    my $error = $@;
    $body->close;
    die $error unless $ok;
    return;
}

sub send_event { return $_[0]{send}->($_[1]) }

sub _is_code { return ref $_[0] eq 'CODE' || defined eval { \&{ $_[0] } } }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapPSGI::Response - a PSGI response as events

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::App::WrapPSGI::Response;

    my $send = sub { my ($event) = @_; print "$event->{type}\n"; return Future->done };
    PAGI::App::WrapPSGI::Response->new($send)->send([200, ['Content-Type' => 'text/plain'], ['Hello']])->get;

=head1 METHODS

=head2 new($send)

Takes the send coderef of the scope.

=head2 send($response)

Sends what a PSGI application returned, an arrayref or, for delayed and streaming responses, a coderef. The Future is done when the
response is complete; it fails for other values and when the application does.

=head2 complete([$status, \@headers, $body])

Sends a response that is all there. The body is an arrayref, a string, a coderef that returns chunks until undef, or an object
that L<PAGI::App::WrapPSGI::Body> knows; objects are closed afterwards.

=head2 send_event($event)

Sends one event.

=head1 FUNCTIONS

=head2 start_event($status, \@headers)

The C<http.response.start> event for a flat PSGI header list; names become lower case.

=cut
