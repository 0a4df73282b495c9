package PAGI::App::Support::Plain::Client;

use strict;
use warnings;

use Scalar::Util qw(weaken);

sub new {
    my ($class, $receive) = @_;
    return bless { receive => $receive, gone => 0, watch => undef, callbacks => [] }, $class;
}

sub is_connected {
    my ($self) = @_;
    $self->_watch;
    return $self->{gone} ? 0 : 1;
}

sub on_disconnect {
    my ($self, $code) = @_;
    $self->_watch;
    if   ($self->{gone}) { $code->('client_closed') }
    else                 { push @{ $self->{callbacks} }, $code }
    return;
}

# Events are taken only from here on: who asks whether the client is there has read the request.
sub _watch {
    my ($self) = @_;
    return if $self->{watch} || $self->{gone};
    weaken(my $weak = $self);
    my $watch = $self->{receive}->();
    $self->{watch} = $watch unless $watch->is_ready;
    $watch->on_done(sub {
        my ($event) = @_;
        return unless $weak;
        undef $weak->{watch};
        return unless ($event->{type} // '') =~ /\.disconnect\z/;
        $weak->{gone} = 1;
        $_->('client_closed') for splice @{ $weak->{callbacks} };
    });
    return;
}

sub DESTROY {
    my ($self) = @_;
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
    my $watch = $self->{watch};
    $watch->cancel if $watch && !$watch->is_ready;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Support::Plain::Client - whether the client of an event stream is still there

=head1 SYNOPSIS

    use PAGI::App::Support::Plain::Client;

    my $client = PAGI::App::Support::Plain::Client->new($receive);
    $client->on_disconnect(sub { print "it has gone\n" });

=head1 DESCRIPTION

C<pagi.connection> belongs to http scopes only. L<PAGI::App::Support::Plain> makes http scopes of others, and gives them this much of it.

=head1 METHODS

=head2 new($receive)

Takes the receive coderef of the scope.

=head2 is_connected

Whether it is still there, as far as the events have told.

=head2 on_disconnect($code)

Calls the code with the reason C<client_closed> when it goes, or at once when it has gone.

=cut
