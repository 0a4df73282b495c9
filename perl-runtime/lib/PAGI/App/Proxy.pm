package PAGI::App::Proxy;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::App::Proxy::Backend;
use PAGI::App::Proxy::Exchange;
use PAGI::App::Proxy::WebSocket;
use PAGI::App::Support::Answer qw(unsupported);
use PAGI::Middleware::Support::Seconds qw(check_seconds);

our @CARP_NOT = qw(PAGI::App::Proxy::Backend PAGI::Middleware::Support::Seconds);

sub new {
    my ($class, %args) = @_;
    my $headers = $args{headers} || {};
    croak "PAGI::App::Proxy 'headers' must be a hashref of header names and values" if ref $headers ne 'HASH';
    for my $name (sort keys %$headers) {
        croak "PAGI::App::Proxy 'headers': '$name' has a name or value that cannot be sent"
            if $name !~ /\A[!#\$%&'*+\-.^_`|~0-9A-Za-z]+\z/ || ($headers->{$name} // "\n") =~ /[\r\n\0]|[^\x00-\xff]/;
    }
    my %seconds = (timeout => 30, idle_timeout => 60);
    for my $name (keys %seconds) {
        $seconds{$name} = check_seconds("PAGI::App::Proxy '$name'", $args{$name}) if defined $args{$name};
    }
    return bless {
        backend => PAGI::App::Proxy::Backend->new(
            $args{backend} // 'http://localhost:8080',
            timeout => $seconds{timeout},
            idle    => $seconds{idle_timeout},
            keep    => $args{keepalive},
        ),
        headers     => {%$headers},
        max_head    => $args{max_head_size} // 65_536,
        max_message => $args{max_message_size} // 16 * 1024 * 1024,
    }, $class;
}

sub to_app {
    my ($self) = @_;
    my %handler = (
        http      => 'PAGI::App::Proxy::Exchange',
        sse       => 'PAGI::App::Proxy::Exchange',
        websocket => 'PAGI::App::Proxy::WebSocket',
    );
    return sub {
        my ($scope, $receive, $send) = @_;
        my $handler = $handler{ $scope->{type} // '' } or return unsupported($scope);
        return $handler->new(%$self, scope => $scope, receive => $receive, send => $send)->run;
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy - pass requests on to another HTTP server

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Proxy;
    use PAGI::App::URLMap;

    my $proxy = PAGI::App::Proxy->new(
        backend => 'http://127.0.0.1:8080',
        headers => { 'X-Served-By' => 'gateway' },
    );
    my $app = PAGI::App::URLMap->new->mount('/legacy' => $proxy)->to_app;

=head1 DESCRIPTION

A reverse proxy for one HTTP/1.1 backend. Bodies are streamed both ways with back-pressure: what one side does not take is not read from
the other. WebSockets are passed through, and so are event streams. Lifespan scopes are rejected: the Future fails.

The backend gets the path below the mount as the client wrote it, the headers without the hop-by-hop ones, C<Host: HOST:PORT> of the backend,
the client's address appended to C<X-Forwarded-For>, C<X-Forwarded-Proto> and C<X-Forwarded-Host>. Connections are kept open for further
requests; a request without a body whose kept connection turns out to be closed is sent once more.

The client gets status, headers (without the hop-by-hop ones) and body. When the backend cannot be reached or what it says is not HTTP,
the answer is 502 C<Bad Gateway>; when it is silent for too long, 504 C<Gateway Timeout>. If that happens in the middle of a response, the
response is cut off. When the client goes, the connection to the backend is closed. The reason of a failure is warned.

This module needs L<Future::IO>.

=head1 METHODS

=head2 new

=over

=item backend

C<http://HOST:PORT>; the port defaults to 80, a path is ignored. Default C<http://localhost:8080>. Croaks
C<The backend 'URL' must be a URL such as http://127.0.0.1:8080> and
C<The backend 'URL' must be reached by http: encrypted backends are not supported>.

=item timeout

Seconds to wait for a connection. Default 30.

=item idle_timeout

Seconds the backend may be silent, or take nothing of what is sent, before and during the response. Does not apply to accepted WebSockets and
started event streams. Default 60.

=item headers

Hashref of further request headers, bytes; they replace those of the same name.

=item max_head_size

Bytes of the response head. Default 65536.

=item max_message_size

Bytes of a WebSocket message from the backend. Default 16 MiB.

=item keepalive

How many unused connections to keep. Default 16; 0 keeps none.

=back

Other croaks: C<PAGI::App::Proxy 'timeout' must be a number of seconds above 0, got 'X'>, and C<PAGI::App::Proxy 'headers'...> for headers that cannot
be sent.

=head2 to_app

The app.

=cut
