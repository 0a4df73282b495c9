package PAGI::App::Support::Answer;

use strict;
use warnings;

use Carp ();
use Exporter qw(import);
use Future;
use PAGI::Middleware::Support::Reply qw(in_turn);

our @EXPORT_OK = qw(answer text_answer unsupported);

my %FAMILY = (
    http      => 'http.response',
    sse       => 'sse.http.response',          # SSE-32: every server can decline
    websocket => 'websocket.http.response',    # WS-38: only where advertised
);

sub answer {
    my ($scope, $send, $status, $headers, $body) = @_;
    my $type = $scope->{type} // 'http';

    # WS-9: a close before accept is the refusal that every server understands.
    return $send->({ type => 'websocket.close' })
        if $type eq 'websocket'
        && !($scope->{extensions} && exists $scope->{extensions}{'websocket.http.response'});

    my $family = $FAMILY{$type} or return unsupported($scope);
    return in_turn(
        $send,
        { type => "$family.start", status => $status, headers => $headers },
        { type => "$family.body", body => $body, more => 0 },
    );
}

sub text_answer {
    my ($scope, $send, $status, $text, @headers) = @_;
    return answer($scope, $send, $status,
        [['content-type', 'text/plain'], ['content-length', length $text], @headers], $text);
}

# APP-3: an app throws on what it does not know; as a failed Future, because no event was sent yet.
sub unsupported {
    my ($scope) = @_;
    my $type = $scope->{type} // '(none)';
    return Future->fail(Carp::shortmess("Unsupported scope type: $type"));
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Support::Answer - a complete short answer in the event family of the scope

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Support::Answer qw(text_answer unsupported);

    my $app = sub {
        my ($scope, $receive, $send) = @_;
        return unsupported($scope) if $scope->{type} eq 'lifespan';
        return text_answer($scope, $send, 404, 'Not Found');
    };

=head1 FUNCTIONS

=head2 answer

    my $future = answer($scope, $send, $status, \@headers, $body);

Sends start and body as C<http.response.*>, C<sse.http.response.*> or C<websocket.http.response.*>. Where the server does not
advertise the last, a WebSocket is refused with C<websocket.close>. A scope without type counts as C<http>; the Future
fails for other types. Header values and C<$body> are bytes.

=head2 text_answer

    my $future = text_answer($scope, $send, $status, $text, @headers);

The same with C<content-type: text/plain>, C<content-length> and then further C<[name, value]> pairs. C<$text> is bytes.

=head2 unsupported

A failed Future with C<Unsupported scope type: TYPE>.

=cut
