package PAGI::App::Proxy::EventStream;

use strict;
use warnings;

use Encode ();
use Future::AsyncAwait;
use PAGI::App::Proxy::Failure;

my $LIMIT = 1024 * 1024;    # bytes of one event

my %OWN = map { $_ => 1 } qw(content-type content-length);

sub new {
    my ($class, $response) = @_;
    return bless { response => $response, bytes => '' }, $class;
}

async sub forward {
    my ($self, $send) = @_;
    my $response = $self->{response};
    await $send->({
        type    => 'sse.start',
        status  => 200,
        headers => [['content-type', $response->header('content-type')], grep { !$OWN{ $_->[0] } } $response->end_to_end_headers],
    });
    while ($response->has_body) {
        my $bytes = await $response->next_bytes;
        last unless defined $bytes;
        my @events = $self->events($bytes);
        while (my $event = shift @events) {
            await $send->($event);
        }
    }
    return;
}

# The protocol events that the bytes complete.
sub events {
    my ($self, $bytes) = @_;
    $self->{bytes} .= $bytes;
    $self->{bytes} =~ s/\A\xEF\xBB\xBF//;
    my @events;
    # CR LF, LF and CR end lines; a CR at the very end may be the first half of CR LF.
    while ($self->{bytes} =~ s/\A(.*?)(?:\r\n|\n|\r(?!\n|\z)){2}//s) {
        push @events, _parsed($1);
    }
    PAGI::App::Proxy::Failure->throw(502, "an event of the backend is longer than $LIMIT bytes") if length $self->{bytes} > $LIMIT;
    return @events;
}

sub _parsed {
    my ($block) = @_;
    my (%event, @data, @comments);
    for my $line (split /\r\n|\n|\r/, Encode::decode('UTF-8', $block)) {
        my ($name, $value) = $line =~ /\A([^:]*)(?:: ?(.*))?\z/s;
        $value //= '';
        if    ($name eq '')     { push @comments, $value if length $line }
        elsif ($name eq 'data') { push @data, $value }
        elsif ($name eq 'event' || ($name eq 'id' && $value !~ /\0/) || ($name eq 'retry' && $value =~ /\A[0-9]+\z/)) {
            $event{$name} = $value;
        }
    }
    my @events = map { +{ type => 'sse.comment', comment => $_ } } @comments;
    # Without data clients dispatch nothing, but they note id and retry; sse.send cannot leave data out.
    push @events, { type => 'sse.send', %event, data => join "\n", @data } if @data || defined $event{id} || defined $event{retry};
    return @events;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy::EventStream - pass an event stream on

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Proxy::EventStream;

    my $stream = PAGI::App::Proxy::EventStream->new(undef);
    for my $event ($stream->events("id: 1\ndata: one\ndata: two\n\n")) {
        print "$event->{type} $event->{id} $event->{data}\n";
    }

=head1 METHODS

=head2 new($response)

Takes the L<PAGI::App::Proxy::Response>.

=head2 forward($send)

Sends C<sse.start> and then every event and comment. A Future that is done when the backend ends the stream.

=head2 events($bytes)

The list of protocol events that these further bytes complete. Dies with a L<PAGI::App::Proxy::Failure> for an event of more than 1 MiB.

=cut
