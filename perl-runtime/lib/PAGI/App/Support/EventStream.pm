package PAGI::App::Support::EventStream;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;

sub new {
    my ($class, $scope, $send) = @_;
    return bless { native => ($scope->{type} // '') eq 'sse' ? 1 : 0, send => $send }, $class;
}

sub accepts {
    my ($class, $scope) = @_;
    return ($scope->{type} // '') =~ /\A(?:http|sse)\z/;
}

sub start {
    my ($self, @headers) = @_;
    return $self->{send}->({
        type    => $self->{native} ? 'sse.start' : 'http.response.start',
        status  => 200,
        headers => [['content-type', 'text/event-stream'], ['cache-control', 'no-cache'], ['connection', 'keep-alive'], @headers],
    });
}

# The protocol event for { event, id, data }.
sub message {
    my ($self, $message) = @_;
    my %field = (data => $message->{data} // '');
    for my $name (qw(event id)) {
        my $value = $message->{$name};
        next unless defined $value && length $value;    # an id of 0 is an id
        # SSE-17, SSE-19: a line break would begin another field.
        ($field{$name} = $value) =~ tr/\r\n\0//d;
    }
    if ($self->{native}) {
        my $retry = delete $self->{retry};
        return { type => 'sse.send', %field, (defined $retry ? (retry => $retry) : ()) };
    }
    my @lines = map { defined $field{$_} ? "$_: $field{$_}" : () } qw(event id);
    # SSE-16: every line of the data is a field of its own, empty ones at the end too.
    push @lines, map {"data: $_"} length $field{data} ? split /\r\n|\n|\r/, $field{data}, -1 : '';
    return _chunk(@lines);
}

# The events to send for it, if any: sse scopes have none for retry alone, so there it goes with the next message.
sub retry {
    my ($self, $milliseconds) = @_;
    return _chunk("retry: $milliseconds") unless $self->{native};
    $self->{retry} = $milliseconds;
    return;
}

sub _chunk {
    my (@lines) = @_;
    my $text = join "\n", @lines, '', '';
    utf8::encode($text);
    return { type => 'http.response.body', body => $text, more => 1 };
}

sub finish {
    my ($self) = @_;
    return $self->{native} ? Future->done : $self->{send}->({ type => 'http.response.body', body => '', more => 0 });
}

async sub client_gone {
    my ($self, $receive) = @_;
    my $gone = $self->{native} ? 'sse.disconnect' : 'http.disconnect';
    while (1) {
        my $event = await $receive->();
        return if ($event->{type} // '') eq $gone;
    }
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Support::EventStream - server-sent events on an http or sse scope

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::App::Support::EventStream;

    my $stream = PAGI::App::Support::EventStream->new($scope, $send);
    await $stream->start;
    await $send->($stream->message({ event => 'tick', id => 1, data => "one\ntwo" }));
    await $stream->client_gone($receive);
    await $stream->finish;

=head1 DESCRIPTION

Servers give a request that accepts C<text/event-stream> the scope type C<sse>, and others C<http>. This speaks both: C<sse.*> events, or
the same bytes in C<http.response.body>.

=head1 METHODS

=head2 new($scope, $send)

One for each request.

=head2 accepts($scope)

Class method; whether the scope is one of the two.

=head2 start(@headers)

Starts the stream; C<@headers> are further C<[name, value]> pairs. Returns the Future of the send.

=head2 message(\%message)

The protocol event for C<event>, C<id> and C<data> (characters). Line breaks are removed from the first two.

=head2 retry($milliseconds)

A list of protocol events, one or none, that set the reconnection time: in an C<sse> scope it goes with the next message.

=head2 client_gone($receive)

A Future that is done when the client has gone.

=head2 finish

Ends the stream. Returns a Future.

=cut
