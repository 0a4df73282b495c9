package PAGI::Test::ConnectionState;

use strict;
use warnings;

sub new {
    my ($class) = @_;
    return bless {
        _started       => 0,
        _complete      => 0,       # the terminal event was sent (CONN-13)
        _end           => '',      # '' in flight, 'complete' or 'disconnect': the first end wins (CONN-7)
        _reason        => undef,
        _on_complete   => [],
        _on_disconnect => [],
    }, $class;
}

sub is_connected      { return $_[0]{_end} eq '' ? 1 : 0 }
sub response_started  { return $_[0]{_started} }
sub response_complete { return $_[0]{_complete} }
sub disconnect_reason { return $_[0]{_reason} }

# CONN-4 lets a server that does not track it return undef.
sub disconnect_future { return undef }

sub on_complete {
    my ($self, $callback) = @_;
    push @{ $self->{_on_complete} }, $callback if $self->{_end} eq '';
    _call($callback) if $self->{_end} eq 'complete';
    return;
}

sub on_disconnect {
    my ($self, $callback) = @_;
    push @{ $self->{_on_disconnect} }, $callback if $self->{_end} eq '';
    _call($callback, $self->{_reason}) if $self->{_end} eq 'disconnect';
    return;
}

sub _mark_response_started  { $_[0]{_started}  = 1; return }
sub _mark_response_complete { $_[0]{_complete} = 1; return }

sub _mark_complete {
    my ($self) = @_;
    $self->_finish('complete', '_on_complete');
    return;
}

sub _mark_disconnected {
    my ($self, $reason) = @_;
    return if $self->{_end} ne '';
    $self->{_reason} = defined $reason ? $reason : 'unknown';
    $self->_finish('disconnect', '_on_disconnect', $self->{_reason});
    return;
}

sub _finish {
    my ($self, $end, $list, @args) = @_;
    return if $self->{_end} ne '';
    $self->{_end} = $end;
    my @callbacks = @{ $self->{$list} };
    # Released before they run, so that closures over the scope do not keep it alive (CONN-25).
    @$self{qw(_on_complete _on_disconnect)} = ([], []);
    _call($_, @args) for @callbacks;
    return;
}

sub _call {
    my ($callback, @args) = @_;
    local $@;
    eval { $callback->(@args); 1 } or warn "pagi.connection callback error: $@";
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Test::ConnectionState - stand-in for the server's pagi.connection object

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Test::ConnectionState;

    my $connection = PAGI::Test::ConnectionState->new;
    $connection->on_disconnect(sub { print "gone: $_[0]\n" });
    $connection->_mark_disconnected('client_closed');    # gone: client_closed
    print $connection->is_connected, "\n";               # 0

=head1 DESCRIPTION

L<PAGI::Test::Client> puts one into every HTTP scope as C<pagi.connection>. It describes one request. Exactly one of the
two kinds of callback fires.

=head1 METHODS

=head2 new

No arguments.

=head2 is_connected

1 while the request is in flight, 0 after either end.

=head2 response_started

1 once C<http.response.start> was sent, else 0.

=head2 response_complete

1 once the terminal event of the response was sent, else 0.

=head2 disconnect_reason

The reason of an abnormal end, else undef.

=head2 disconnect_future

Always undef: not tracked here.

=head2 on_complete

    $connection->on_complete(sub { ... });

Called without arguments when the request ends cleanly; at once when it already has; never after an abnormal end.

=head2 on_disconnect

    $connection->on_disconnect(sub { my ($reason) = @_; ... });

Called with the reason when the request ends abnormally; at once when it already has; never after a clean end. A callback
that dies is warned about as C<pagi.connection callback error: ...> and does not stop the others.

=head1 METHODS FOR THE TEST CLIENT

=head2 _mark_response_started, _mark_response_complete

Set the two flags.

=head2 _mark_complete

Clean end.

=head2 _mark_disconnected

    $connection->_mark_disconnected($reason);

Abnormal end; the reason defaults to C<unknown>. The first end wins.

=head1 SEE ALSO

L<PAGI::Test::Client>

=cut
