package PAGI::Simple::PubSub::Shared;

use strict;
use warnings;

use Future;
use JSON::MaybeXS ();
use PAGI::Shared;
use Scalar::Util qw(weaken);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);
my $PREFIX = 'simple:';
# PAGI::Shared takes names of 1024 bytes; room for the prefix, and for a digest in their place.
my $LONGEST = 1000;

sub new {
    my ($class, %options) = @_;
    return bless { shared => $options{shared} || PAGI::Shared->instance }, $class;
}

sub attach {
    my ($self, $bus) = @_;
    weaken(my $weak = $bus);
    $self->{shared}->on_message(sub {
        my ($name, $bytes) = @_;
        return unless $weak && index($name, $PREFIX) == 0;
        my ($channel, $message) = @{ $JSON->decode($bytes) };
        $weak->deliver($channel, $message);
    });
    return;
}

sub listeners {
    my ($self, $channel, $count) = @_;
    $self->{shared}->interest(_name($channel), $count);
    return;
}

sub publish {
    my ($self, $channel, $message) = @_;
    my $bytes = eval { $JSON->encode([ "$channel", $message ]) };
    return Future->fail("A message for '$channel' cannot go to other workers, which takes plain data: $@", 'shared')
        unless defined $bytes;
    return $self->{shared}->publish(_name($channel), $bytes);
}

# Any string is a channel here; the channel itself travels in the message.
sub _name {
    my ($channel) = @_;
    my $name = "$channel";
    utf8::encode($name);
    if (length $name > $LONGEST) {
        require Digest::SHA;
        $name = substr($name, 0, 900) . '#' . Digest::SHA::sha256_hex($name);
    }
    return $PREFIX . $name;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::PubSub::Shared - the message bus reaches the other workers

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::PubSub;
    use PAGI::Simple::PubSub::Shared;

    # what PAGI::Simple::PubSub->instance does by itself
    my $bus = PAGI::Simple::PubSub->new(backend => PAGI::Simple::PubSub::Shared->new);

=head1 DESCRIPTION

The backend of L<PAGI::Simple::PubSub> by default. Messages travel through L<PAGI::Shared> as JSON: strings, numbers,
booleans, undef, arrays and hashes of them arrive as they were sent. Anything else reaches the subscribers of the own
process only; C<publish_async> fails then, C<publish> warns. In a server of one process nothing travels.

Delivery is at most once: a worker that is so busy that more than C<--store-backlog> bytes wait for it loses messages.

=head1 METHODS

=head2 new

C<shared>, a L<PAGI::Shared>; by default that of the process.

=head2 attach, listeners, publish

See L<PAGI::Simple::PubSub::Local>.

=cut
