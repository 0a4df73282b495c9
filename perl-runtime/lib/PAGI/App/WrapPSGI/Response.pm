package PAGI::App::WrapPSGI::Response;

use strict;
use warnings;

use Exporter qw(import);
use Future;
use Future::AsyncAwait;
use PAGI::App::WrapPSGI::Body;
use PAGI::App::WrapPSGI::Responder;

our @EXPORT_OK = qw(send_response send_complete start_event);

our $WIDE = 'A PSGI body is bytes, and this one has characters above 0xFF: encode it, for example with Encode::encode_utf8';

sub send_response {
    my ($send, $response, $client, $may_block) = @_;
    goto &send_complete if ref $response eq 'ARRAY';
    return PAGI::App::WrapPSGI::Responder->new($send, $client, $may_block)->run($response) if ref $response && ref $response ne 'HASH' && _is_code($response);
    return Future->fail('The PSGI application returned ' . (defined $response ? "'$response'" : 'undef')
        . ', an arrayref or a coderef was expected' . "\n");
}

sub send_complete {
    my ($send, $response, $client) = @_;
    my ($status, $headers, $body) = @$response;
    return Future->fail("A PSGI response needs a status, headers and a body\n")
        unless @$response == 3 && ref $headers eq 'ARRAY' && defined $body;

    my $start = start_event($status, $headers);
    return _stream($send, $start, PAGI::App::WrapPSGI::Body->new($body), $client) if ref $body && ref $body ne 'ARRAY';
    my $bytes = !ref $body ? $body : @$body == 1 ? $body->[0] // '' : join '', map { $_ // '' } @$body;
    # Before anything is sent, so that the client sees an error and not half a response.
    return Future->fail("$WIDE\n") if utf8::is_utf8($bytes) && !utf8::downgrade($bytes, 1);
    my $end = { type => 'http.response.body', body => $bytes, more => 0 };
    my $sent = $send->($start);
    return $sent->is_done ? $send->($end) : $sent->then(sub { $send->($end) });
}

sub start_event {
    my ($status, $headers) = @_;
    my @headers;
    for (my $i = 0; $i < @$headers; $i += 2) {
        # As a string: some put an object there, such as a URI.
        push @headers, [lc $headers->[$i], '' . ($headers->[$i + 1] // '')];
    }
    return { type => 'http.response.start', status => $status, headers => \@headers };
}

async sub _stream {
    my ($send, $start, $body, $client) = @_;
    my $ok = eval {
        await $send->($start);
        if (my $whole = $body->event) {
            await $send->($whole);
        }
        else {
            # Every chunk is read before the send is waited for: nothing local may live across an await.
            while (defined(my $chunk = $body->next_chunk)) {
                await $send->({ type => 'http.response.body', body => $chunk, more => 1 });
                last if $client && !$client->is_connected;
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
    use PAGI::App::WrapPSGI::Response qw(send_response);

    my $send = sub { my ($event) = @_; print "$event->{type}\n"; return Future->done };
    send_response($send, [200, ['Content-Type' => 'text/plain'], ['Hello']])->get;

=head1 FUNCTIONS

C<$send> is the send coderef of the scope.

=head2 send_response($send, $response, $client, $may_block)

Sends what a PSGI application returned, an arrayref or, for delayed and streaming responses, a coderef. The Future is done when the
response is complete; it fails for other values and when the application does. C<$client> is the C<pagi.connection> of the request, if it
has one: a response ends when it has gone. With C<$may_block> a L<PAGI::App::WrapPSGI::Writer> waits for it.

=head2 send_complete($send, [$status, \@headers, $body], $client)

Sends a response that is all there. The body is an arrayref, a string, a coderef that returns chunks until undef, or an object
that L<PAGI::App::WrapPSGI::Body> knows; objects are closed afterwards.

=head2 start_event($status, \@headers)

The C<http.response.start> event for a flat PSGI header list; names become lower case.

=cut
