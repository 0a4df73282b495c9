package PAGI::Response::Writer;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;
use Scalar::Util qw(blessed);

sub new {
    my ($class, $send) = @_;
    return bless { send => $send, closed => 0, bytes => 0, _on_close => [] }, $class;
}

sub bytes_written { $_[0]{bytes} }
sub is_closed     { $_[0]{closed} }

sub write {
    my ($self, $chunk) = @_;
    return Future->fail('Writer already closed') if $self->{closed};
    $chunk = '' unless defined $chunk;
    my $future = eval {
        $self->{send}->({ type => 'http.response.body', body => $chunk, more => 1 });
    };
    return Future->fail($@) unless $future;
    $self->{bytes} += length $chunk;
    return $future;
}

sub on_close {
    my ($self, $callback) = @_;
    push @{ $self->{_on_close} }, $callback;
    return $self;
}

async sub close {
    my ($self) = @_;
    return if $self->{closed};
    $self->{closed} = 1;

    my $sent = eval {
        await $self->{send}->({ type => 'http.response.body', body => '', more => 0 });
        1;
    };
    my $error = $@;
    await $self->_run_on_close;
    die $error unless $sent;
    return;
}

# Ends the writer without the terminal event: a body that failed half-way must stay visibly incomplete (RESP-5).
async sub _abort {
    my ($self) = @_;
    return if $self->{closed};
    $self->{closed} = 1;
    await $self->_run_on_close;
    return;
}

async sub _run_on_close {
    my ($self) = @_;
    # emptied first: the callbacks usually close over the writer
    my $callbacks = $self->{_on_close};
    $self->{_on_close} = [];
    for my $callback (@$callbacks) {
        eval {
            my $result = $callback->();
            await $result if blessed $result && $result->isa('Future');
            1;
        } or warn "PAGI::Response::Writer on_close callback error: $@";
    }
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Response::Writer - write a response body piece by piece

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Response;

    my $app = PAGI::Response->new
        ->content_type('text/plain; charset=utf-8')
        ->stream(async sub {
            my ($writer) = @_;
            $writer->on_close(sub { print STDERR 'sent ', $writer->bytes_written, " bytes\n" });
            for my $number (1 .. 3) {
                await $writer->write("line $number\n");
            }
        })
        ->to_app;

=head1 DESCRIPTION

Given to the callback of C<stream> and returned by C<writer> in L<PAGI::Response>.

=head1 METHODS

=head2 new

    my $writer = PAGI::Response::Writer->new($send);

Made by L<PAGI::Response> after it sent the start event.

=head2 write

    await $writer->write($bytes);

Sends one piece (bytes; undef counts as empty). Returns the Future of the send, so awaiting it is how to keep pace with a slow
client. After L</close> it is a failed Future, C<Writer already closed>, and nothing is sent.

=head2 close

    await $writer->close;

Sends the final event, then runs the callbacks. Returns a Future; calling it again does nothing.

=head2 on_close

    $writer->on_close(sub { ... });

Plain or async callback without arguments, run once in order of registration when the writer ends, also when the stream callback
died. An exception is reported as a warning (C<PAGI::Response::Writer on_close callback error: ...>) and does not stop the others.
Returns the writer.

=head2 bytes_written

Bytes passed to L</write> so far.

=head2 is_closed

1 or 0.

=head1 SEE ALSO

L<PAGI::Response>

=cut
