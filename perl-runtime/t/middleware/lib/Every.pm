package Every;

# Every shipped middleware with a configuration that lets ordinary requests through.
# -headers are request headers it needs, or that make it do something.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(%CONFIG);

our %CONFIG = (
    'AccessLog'              => { logger => sub { } },
    'Auth::Basic'            => { authenticator => sub { 1 }, -headers => [ [ authorization => 'Basic dTpw' ] ] },
    'Auth::Bearer'           => { validator => sub { {} }, -headers => [ [ authorization => 'Bearer t' ] ] },
    'CORS'                   => { -headers => [ [ origin => 'https://elsewhere.example' ] ] },
    'CSRF'                   => { secret => 's' },
    'ConditionalGet'         => { -headers => [ [ 'if-none-match', '"other"' ] ] },
    'ContentLength'          => {},
    'ContentNegotiation'     => { supported_types => ['text/plain'] },
    'Cookie'                 => {},
    'Debug'                  => { enabled => 1 },
    'ETag'                   => {},
    'ErrorHandler'           => {},
    'FormBody'               => {},
    'GZip'                   => { min_size => 100_000, -headers => [ [ 'accept-encoding', 'gzip' ] ] },
    'HTTPSRedirect'          => { exclude => [qr/^/] },
    'Head'                   => {},
    'Healthcheck'            => {},
    'JSONBody'               => {},
    'Lint'                   => { on_warning => sub { } },
    'Maintenance'            => {},
    'MethodOverride'         => {},
    'RateLimit'              => { burst => 1000 },
    'RequestId'              => {},
    'ReverseProxy'           => { -headers => [ [ 'x-forwarded-for', '192.0.2.1' ], [ 'x-forwarded-proto', 'https' ] ] },
    'Rewrite'                => { rules => [ { from => '/old', to => '/new' } ] },
    'Runtime'                => {},
    'SSE::Heartbeat'         => {},
    'SSE::Retry'             => { include_on_start => 0 },
    'SecurityHeaders'        => {},
    'Session'                => { secret => 's' },
    'Static'                 => { root => 'lib', path => '/never-asked-for' },
    'Timeout'                => {},
    'TrustedHosts'           => { hosts => ['testserver'] },
    'WebSocket::Compression' => { -headers => [ [ 'sec-websocket-extensions', 'permessage-deflate' ] ] },
    'WebSocket::Heartbeat'   => {},
    'WebSocket::RateLimit'   => {},
    'XSendfile'              => { type => 'X-Sendfile' },
);

1;
