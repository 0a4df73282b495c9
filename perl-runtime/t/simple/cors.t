use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGI::Simple;
use PAGITest::Backends qw(each_backend);

# Cross-origin headers, for an application and for one response.

each_backend('t/simple/apps/cors.pl', sub ($client, $backend) {
    my $cors = sub ($method, $path, $origin = undef) {
        my $r = $client->$method($path, headers => { defined $origin ? (Origin => $origin) : () });
        my %found = map { lc($_->[0]) =~ /\A(?:access-control-(.+)|(vary))\z/ ? ($1 // $2 => $_->[1]) : () } $r->header_pairs;
        return [ $r->status, \%found ];
    };
    my %preflight = ('allow-methods' => 'GET, POST, PUT, DELETE, PATCH, OPTIONS', 'allow-headers' => 'Content-Type, Authorization, X-Requested-With', 'max-age' => 86400);
    is $cors->(get => '/open/data', 'https://x.example'), [ 200, { 'allow-origin' => '*', vary => 'Origin' } ], 'everybody';
    is $cors->(get => '/open/data'), [ 200, {} ], 'nothing without an origin';
    is $cors->(options => '/open/data', 'https://x.example'), [ 204, { 'allow-origin' => '*', vary => 'Origin', %preflight } ], 'a preflight, with the defaults';
    is $cors->(options => '/open/nowhere', 'https://x.example')->[0], 204, 'before routing';
    is $cors->(options => '/open/data')->[0], 405, 'OPTIONS without an origin is a request like others';
    is $cors->(get => '/open/nowhere', 'https://x.example'), [ 404, {} ], 'routes that match have the headers';

    my %chosen = ('allow-origin' => 'https://b.example', 'allow-credentials' => 'true', 'expose-headers' => 'X-Total', vary => 'Origin');
    is $cors->(get => '/chosen/data', 'https://b.example'), [ 200, \%chosen ], 'one of a list';
    is $cors->(options => '/chosen/data', 'https://b.example'), [ 204, { %chosen, 'allow-methods' => 'GET, PUT', 'allow-headers' => 'X-H', 'max-age' => 7 } ], 'its preflight';
    is $cors->(get => '/chosen/data', $_), [ 200, {} ], "not $_" for 'https://b.example.evil', 'http://b.example', 'null';
    is $cors->(options => '/chosen/data', 'https://evil.example')->[0], 405, 'whose preflight is not answered';
    is $cors->(get => '/trusting/data', 'https://x.example')->[1]{'allow-origin'}, 'https://x.example', 'with credentials the origin is echoed, never *';

    is $cors->(get => '/own', 'https://x.example'), [ 200, { 'allow-origin' => '*', vary => 'Origin' } ], 'one response';
    is $cors->(options => '/own', 'https://x.example'),
        [ 200, { 'allow-origin' => '*', vary => 'Origin', 'allow-methods' => 'GET, POST, PUT, DELETE, PATCH', 'allow-headers' => 'Content-Type, Authorization', 'max-age' => 86400 } ],
        'what is for a preflight only when it is one';
    my %set = ('allow-origin' => 'https://a.example', 'allow-credentials' => 'true', 'expose-headers' => 'X-B, X-C', vary => 'Origin');
    is $cors->(put => '/set', 'https://a.example'), [ 200, \%set ], 'with its own options';
    is $cors->(options => '/set', 'https://a.example'), [ 200, { %set, 'allow-methods' => 'GET', 'allow-headers' => 'X-A', 'max-age' => 5 } ], 'in a preflight too';
    is $cors->(get => '/set', 'https://b.example'), [ 200, {} ], 'and not for others';
    is $cors->(get => '/own'), [ 200, {} ], 'nor without an origin';
});

my $app = PAGI::Simple->new(name => 'x', quiet => 1);
like dies { $app->use_cors(origin => '*') }, qr/\AUnknown CORS options: origin\. Valid: credentials, expose, headers, max_age, methods, origins/, 'a misspelt option';
ref_is $app->use_cors(origins => 'https://a.example'), $app, 'use_cors chains';

done_testing;
