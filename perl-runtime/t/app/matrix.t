use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying call_app http_scope);
use File::Temp ();
use Future;
use PAGITest::Backends qw(each_backend);

# Every application in every kind of scope: an answer in the events of that scope, nothing, or a failure before any event.

my $loaded = File::Temp->new(SUFFIX => '.pl');
print {$loaded} 'use AppHelper; AppHelper::app_saying("loaded")';
close $loaded or die "Cannot write $loaded: $!";

my $inner = app_saying('inner');
my %answers = (
    http      => ['http.response.start',     'http.response.body'],
    websocket => ['websocket.accept',        'websocket.send'],
    sse       => ['sse.start',               'sse.send'],
    lifespan  => [],
);
my %declines = (%answers, websocket => ['websocket.close'], sse => ['sse.http.response.start', 'sse.http.response.body']);
# An app between the server and another one passes lifespan on, or has several below it and answers for none.
my %passes = (%answers, lifespan => $answers{http});
my $rejects = 'rejects';
my %only_http      = (http => $answers{http}, map { $_ => $rejects } qw(websocket sse lifespan));
my %only_websocket = (websocket => undef, map { $_ => $rejects } qw(http sse lifespan));

my @matrix = (
    ['Router',               { },                                \%declines],
    ['Router with not_found', { not_found => $inner },           \%answers],
    ['URLMap',               { },                                \%declines],
    ['URLMap with default',  { default => $inner },              \%answers],
    ['Cascade',              { },                                \%declines],
    ['Cascade of one',       { apps => [$inner] },               \%passes],
    ['Throttle',             { app => $inner },                  \%passes],
    ['Delayed',              { app => $inner },                  \%passes],
    ['Loader',               { file => "$loaded" },              \%passes],
    ['NotFound',             { },                                \%declines],
    ['Redirect',             { to => '/' },                      \%declines],
    ['Healthcheck',          { },                                \%declines],
    ['File',                 { root => $FindBin::Bin },          \%only_http],
    ['Directory',            { root => $FindBin::Bin },          \%only_http],
    ['WrapPSGI',             { psgi_app => sub { [200, [], []] } }, \%only_http],
    ['WrapCGI',              { script => "$FindBin::Bin/cgi-bin/env.cgi" }, { %only_http, http => undef }],
    # Beyond what it is called: an event source of a browser and a WebSocket are passed on, too.
    ['Proxy',                { },                                { lifespan => $rejects }],
    ['SSE::Pubsub',          { },                                { websocket => $rejects, lifespan => $rejects }],
    ['SSE::Stream',          { generator => sub { Future->done } }, { websocket => $rejects, lifespan => $rejects }],
    (map { ["WebSocket::$_", { }, \%only_websocket] } qw(Echo Broadcast Chat)),
);

for my $row (@matrix) {
    my ($name, $options, $expected) = @$row;
    my $class = 'PAGI::App::' . $name =~ s/ .*//r;
    subtest $name => sub {
        ok eval "require $class; 1", 'loads' or diag $@;
        my $app = $class->new(%$options, no_such_option => 1)->to_app;
        is ref $app, 'CODE', 'options it does not know do not matter; to_app gives a coderef';
        for my $type (sort keys %$expected) {
            next unless defined $expected->{$type};    # its own tests say what happens
            my $sent = [];
            my @events = $type eq 'http' ? { type => 'http.request', body => '', more => 0 } : ();
            my $future = $app->(http_scope('/', type => $type), sub { @events ? Future->done(shift @events) : Future->new }, sub ($event) { push @$sent, $event; Future->done });
            if (ref $expected->{$type}) {
                is [map { $_->{type} } @$sent], $expected->{$type}, $type;
                ok $future->is_done, 'and over';
            }
            else {
                like $future->failure, qr/\AUnsupported scope type: $type at \S+ line \d+/, "$type rejected";
                is $sent, [], 'before any event';
            }
        }
    };
}

# A failing or silent lifespan means that the application has none: the server starts.
for my $case (['File', "root => '$FindBin::Bin'", "/$FindBin::Script"], ['WrapCGI', "script => '$FindBin::Bin/cgi-bin/env.cgi'", '/'], ['URLMap', '', undef], ['Healthcheck', '', '/']) {
    my ($name, $options, $path) = @$case;
    each_backend("use PAGI::App::$name; PAGI::App::$name->new($options)->to_app;", sub ($client, $backend) {
        is $client->get($path // '/')->status, defined $path ? 200 : 404, "$name serves";
        my $sse = eval { $client->sse('/', decline_ok => 1) };
        ok !$sse || $sse->response->status >= 200 && $sse->response->header('content-type') !~ /event-stream/, 'an event stream is not begun';
        my $ws = eval { $client->websocket('/', decline_ok => 1) };
        ok !$ws || $ws->response->status != 101, 'nor is a WebSocket';
    }, lifespan => 0);
}

done_testing;
