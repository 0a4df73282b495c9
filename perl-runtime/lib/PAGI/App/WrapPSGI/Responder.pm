package PAGI::App::WrapPSGI::Responder;

use strict;
use warnings;

use Future;
use PAGI::App::WrapPSGI::Guard;
use PAGI::App::WrapPSGI::Response ();
use PAGI::App::WrapPSGI::Writer;

sub new {
    my ($class, $send, $client, $may_block) = @_;
    return bless { send => $send, client => $client, may_block => $may_block, done => Future->new, responded => 0, running => 0, abandoned => undef }, $class;
}

# Calls the application's coderef with the responder. The Future is done when the response is complete, which may be long after
# the coderef has returned.
sub run {
    my ($self, $code) = @_;
    $self->{running} = 1;
    my $ok = eval {
        my $guard = PAGI::App::WrapPSGI::Guard->new(sub { $self->_released });
        $code->(sub { return $guard && $self->_respond(@_) });
        1;
    };
    my $error = $@;
    $self->{running} = 0;
    # Who wrote to a client that has gone is none the wiser for an error in the log.
    return Future->done if !$ok && $self->{client} && !$self->{client}->is_connected;
    return Future->fail($error) unless $ok;
    my $abandoned = delete $self->{abandoned};
    $abandoned->() if $abandoned;
    # An application may keep the responder or the writer for ever. Nobody waits for it then.
    $self->{client}->on_disconnect(sub { $self->_finish(Future->done) }) if $self->{client} && !$self->{done}->is_ready;
    return $self->{done};
}

sub _respond {
    my ($self, $response) = @_;
    die "The PSGI responder was called twice\n" if $self->{responded}++;
    die "The PSGI responder needs an arrayref of status, headers and, maybe, a body\n"
        unless ref $response eq 'ARRAY' && @$response >= 2 && ref $response->[1] eq 'ARRAY';
    if (defined $response->[2]) {
        die "A coderef cannot be the body of a delayed PSGI response: use the writer\n" if ref $response->[2] eq 'CODE';
        PAGI::App::WrapPSGI::Response::send_complete($self->{send}, $response, $self->{client})->on_ready(sub { $self->_finish($_[0]) })->retain;
        return;
    }
    my $writer = PAGI::App::WrapPSGI::Writer->new(
        send    => $self->{send},
        client  => $self->{may_block} ? $self->{client} : undef,
        on_end  => sub { $self->_finish($_[0]) },
        on_lost => sub { $self->_when_returned($_[0]) },
    );
    $writer->_start(PAGI::App::WrapPSGI::Response::start_event(@$response[0, 1]));
    return $writer;
}

sub _finish {
    my ($self, $outcome) = @_;
    my $done = $self->{done};
    return if $done->is_ready;
    return $outcome->is_done ? $done->done : $done->fail($outcome->is_cancelled ? "The response was cancelled\n" : $outcome->failure);
}

# Nobody can respond any more.
sub _released {
    my ($self) = @_;
    return if $self->{responded};
    return $self->_when_returned(sub { $self->_finish(Future->done) });
}

# A writer or responder that is dropped ends the response; but as long as the coderef runs it may be on the way out with an
# exception, and then the response must not look complete.
sub _when_returned {
    my ($self, $code) = @_;
    return $code->() unless $self->{running};
    $self->{abandoned} = $code;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapPSGI::Responder - delayed and streaming PSGI responses

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::App::WrapPSGI::Responder;

    my $send = sub { Future->done };
    PAGI::App::WrapPSGI::Responder->new($send)->run(sub {
        my ($respond) = @_;
        my $writer = $respond->([200, ['Content-Type' => 'text/plain']]);
        $writer->write("chunk $_\n") for 1 .. 3;
        $writer->close;
    })->get;

=head1 METHODS

=head2 new($send, $client, $may_block)

Takes the send coderef of the scope, its C<pagi.connection> if it has one, and whether writing may wait for the client.

=head2 run($code)

Calls the code with the responder. The Future is done when the response is complete: with a body, when that has been sent; else when the
L<PAGI::App::WrapPSGI::Writer> is closed or dropped. It is done without a response when the responder is dropped uncalled, and fails
with the exception of the code.

=cut
