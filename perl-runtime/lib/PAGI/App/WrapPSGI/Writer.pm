package PAGI::App::WrapPSGI::Writer;

use strict;
use warnings;

use Future;
use PAGI::App::WrapPSGI::Response ();

sub new {
    my ($class, %args) = @_;
    return bless { send => $args{send}, client => $args{client}, on_end => $args{on_end}, on_lost => $args{on_lost}, tail => Future->done, closed => 0 }, $class;
}

sub write {
    my ($self, $chunk) = @_;
    die "The PSGI writer is closed already\n" if $self->{closed};
    if (defined $chunk && length $chunk) {
        die "$PAGI::App::WrapPSGI::Response::WIDE\n" if utf8::is_utf8($chunk) && !utf8::downgrade($chunk, 1);
        $self->_append({ type => 'http.response.body', body => $chunk, more => 1 });
    }
    $self->_wait if $self->{client};
    return;
}

# Where blocking harms nobody, a slow client holds the application up instead of filling the memory.
sub _wait {
    my ($self) = @_;
    PAGI::Native::turn(undef) until $self->{tail}->is_ready;
    die "The client has gone\n" unless $self->{client}->is_connected;
    return;
}

sub close {
    my ($self) = @_;
    return if $self->{closed}++;
    _end(@$self{qw(tail send on_end)});
    return;
}

sub _start { my ($self, $event) = @_; return $self->_append($event) }

# SEND-12: one after the other, though the application does not wait.
sub _append {
    my ($self, $event) = @_;
    my $send = $self->{send};
    $self->{tail} = _after($self->{tail}, sub { $send->($event) });
    return;
}

sub _after {
    my ($tail, $next) = @_;
    return $tail->is_done ? $next->() : $tail->then($next);
}

sub _end {
    my ($tail, $send, $on_end) = @_;
    my $last = _after($tail, sub { $send->({ type => 'http.response.body', body => '', more => 0 }) });
    $last->on_ready($on_end)->retain;
    return;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{closed} || ${^GLOBAL_PHASE} eq 'DESTRUCT';
    local ($@, $!, $?);
    my ($tail, $send, $on_end) = @$self{qw(tail send on_end)};
    $self->{on_lost}->(sub { _end($tail, $send, $on_end) });
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapPSGI::Writer - what a PSGI application writes its stream to

=head1 SYNOPSIS

    my $psgi = sub {
        my ($env) = @_;
        return sub {
            my ($respond) = @_;
            my $writer = $respond->([200, ['Content-Type' => 'text/plain']]);
            $writer->write('a chunk');
            $writer->close;
        };
    };

=head1 METHODS

=head2 new

For the bridge: C<send> (coderef for one event), C<client> (C<pagi.connection>, where writing may wait), C<on_end> (called with the Future of the last send) and C<on_lost> (called with the coderef that
ends the response when the object is dropped open).

=head2 write

    $writer->write($bytes);

Sends the chunk when those before it have been taken. In a process of the server's pool it waits until the client has taken enough, and dies
C<The client has gone> when there is no client any more; elsewhere it does not wait, so what a slow client has not taken stays in memory. Dies
C<The PSGI writer is closed already>.

=head2 close

Ends the response. Dropping the writer does the same.

=cut
