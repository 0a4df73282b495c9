package PAGITest::ServerSSE;

# The interface of PAGI::Test::SSE over a real connection.

use strict;
use warnings;

use Encode ();
use PAGI::Utils::TextJSON ();
use PAGITest::Wire;

my $SECONDS = 20;

sub connect {
    my ($class, $port, $request, $decline_ok) = @_;

    my $wire = PAGITest::Wire->new($port);
    $wire->write_request($request);
    my $head = $wire->read_head;
    my ($type) = map { $_->[1] } grep { lc $_->[0] eq 'content-type' } @{ $head->{headers} };
    my $self = bless {
        wire => $wire, status => $head->{status}, headers => $head->{headers},
        text => '', events => [], comments => [], closed => 0, ended => 0, response => undef,
    }, $class;
    return $self if defined $type && $type =~ m{\Atext/event-stream}i;

    my ($body) = $wire->read_body($head, $request->{method});
    $self->{response} = PAGI::Test::Response->new(%$head, body => $body);
    $self->close;
    return $self if $decline_ok;
    die "SSE connection not started (the application answered with HTTP $head->{status})\n";
}

sub status    { return $_[0]{status} }
sub headers   { return $_[0]{headers} }
sub response  { return $_[0]{response} }
sub comments  { return @{ $_[0]{comments} } }
sub is_closed { return $_[0]{closed} || $_[0]{ended} ? 1 : 0 }

sub receive_event {
    my ($self, %options) = @_;
    until (@{ $self->{events} }) {
        return undef if $self->{closed} || $self->{ended};
        my $chunk = $self->{wire}->read_chunk($options{timeout} // $SECONDS);
        if (!defined $chunk) {
            die "Timeout waiting for SSE event\n" unless $self->{wire}->is_eof;
            $self->{ended} = 1;
            next;
        }
        $self->{ended} = 1 unless length $chunk;
        $self->{text} .= $chunk;
        while ($self->{text} =~ s/\A(.*?)\n\n//s) {
            $self->_parse(Encode::decode('UTF-8', $1, Encode::FB_CROAK | Encode::LEAVE_SRC));
        }
    }
    return shift @{ $self->{events} };
}

sub receive_json {
    my ($self, %options) = @_;
    my $event = $self->receive_event(%options);
    return defined $event ? PAGI::Utils::TextJSON::decode($event->{data}) : undef;
}

sub close {
    my ($self) = @_;
    return $self if $self->{closed}++;
    $self->{wire}->close;
    return $self;
}

sub _parse {
    my ($self, $block) = @_;
    my %event = (event => undef, data => undef, id => undef, retry => undef);
    for my $line (split /\n/, $block, -1) {
        if ($line =~ /\A:(.*)/) {
            push @{ $self->{comments} }, $1;
            next;
        }
        my ($field, $value) = $line =~ /\A([^:]+)(?:: ?(.*))?\z/ or next;
        $value //= '';
        $event{$field} = $field eq 'data' && defined $event{data} ? "$event{data}\n$value" : $value;
    }
    push @{ $self->{events} }, \%event if grep { defined } values %event;
    return;
}

1;
