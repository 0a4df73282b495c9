package PAGI::Middleware::Session::Store::Shared;

use strict;
use warnings;
use parent 'PAGI::Middleware::Session::Store';

use Carp qw(croak);
use Future;
use JSON::MaybeXS ();
use PAGI::Shared;

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);

sub new {
    my ($class, %options) = @_;
    my $self = $class->SUPER::new(max_idle => 86_400, prefix => 'session:', %options);
    croak "Store::Shared 'max_idle' must be a number of seconds above 0"
        unless $self->{max_idle} =~ /\A[0-9]+\z/ && $self->{max_idle};
    $self->{shared} ||= PAGI::Shared->instance;
    return $self;
}

sub get {
    my ($self, $id) = @_;
    my $key = $self->_key($id);
    return Future->done(undef) unless defined $key;
    return $self->{shared}->get($key)->then(sub {
        my ($text) = @_;
        my $session = defined $text ? eval { $JSON->decode($text) } : undef;
        return Future->done(ref $session eq 'HASH' ? $session : undef);
    });
}

sub set {
    my ($self, $id, $data) = @_;
    my $key = $self->_key($id);
    my $text = eval { $JSON->encode($data) };
    return Future->fail('Store::Shared cannot save a session: ' . (defined $text ? 'its id is too long' : $@), 'session')
        unless defined $key && defined $text;
    return $self->{shared}->set($key, $text, $self->{max_idle})->then(sub { Future->done($id) });
}

sub delete {
    my ($self, $id) = @_;
    my $key = $self->_key($id);
    return Future->done(1) unless defined $key;
    return $self->{shared}->delete($key)->then(sub { Future->done(1) });
}

# The id comes from the client; no id of ours is that long, and the store takes keys of 1024 bytes.
sub _key {
    my ($self, $id) = @_;
    return undef unless defined $id;
    my $key = "$self->{prefix}$id";
    utf8::encode($key) if $key =~ /[^\x00-\x7f]/;
    return length $key <= 1024 ? $key : undef;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::Store::Shared - sessions shared by the workers of a server

=head1 SYNOPSIS

    use PAGI::Middleware::Session;
    use PAGI::Middleware::Session::Store::Shared;

    my $session = PAGI::Middleware::Session->new(
        secret => 'a long random string',
        expire => 3600,
        store  => PAGI::Middleware::Session::Store::Shared->new(max_idle => 3600),
    );

=head1 DESCRIPTION

Sessions live in the master process of C<pagi-server> (L<PAGI::Shared>), so every worker finds them, and they survive
workers and reloads. They are gone when the server is restarted. In a server of one process they live in that process.

The store is bounded by the options C<--store-bytes> and C<--store-entries> of the server: when it is full, the sessions
that were not used for longest are forgotten. No method here waits or blocks the worker.

=head1 OPTIONS

=over 4

=item max_idle

Seconds after which a session that is not saved is forgotten, default 86400. At least the C<expire> of the session
middleware.

=item prefix

Of the keys in the store, default C<session:>. Two applications of one server that must not see each other's sessions take
different ones.

=item shared

Another L<PAGI::Shared>.

=back

=head1 METHODS

=head2 get($id), set($id, $data), delete($id)

See L<PAGI::Middleware::Session::Store>. C<set> fails with C<Store::Shared cannot save a session: REASON>, or with what
L<PAGI::Shared> says, for example that a session is larger than C<--store-item-bytes>.

=head1 ERRORS

The constructor croaks C<Store::Shared 'max_idle' must be a number of seconds above 0>.

=cut
