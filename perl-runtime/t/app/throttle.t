use v5.36;
use Test2::V0;
my $now;
BEGIN { $now = 1_700_000_000; *CORE::GLOBAL::time = sub () { $now } }
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying call_app header http_scope text_of);
use Future::AsyncAwait;
use PAGI::App::Throttle;

sub run_app ($app, %scope) { return (call_app($app, http_scope('/', %scope)))[0] }
my @names = qw(x-ratelimit-limit x-ratelimit-remaining x-ratelimit-reset);
sub rates ($sent) { return [map { scalar header($sent->[0], $_) } @names] }

my $app = PAGI::App::Throttle->new(app => app_saying('ok'), rate => 2, burst => 3)->to_app;
my @answers = map { run_app($app) } 1 .. 4;
is [map { $_->[0]{status} } @answers], [200, 200, 200, 429], 'burst, then refused';
is rates($answers[0]), [3, 2, $now], 'headers';
is rates($answers[2]), [3, 0, $now + 1], 'later';
is [header($answers[3][0], 'content-type'), header($answers[3][0], 'retry-after'), text_of($answers[3]), rates($answers[3])],
    ['text/plain', 1, 'Too Many Requests', [3, 0, $now + 1]], 'refusal';
is(PAGI::App::Throttle->info('global'), { tokens => 0, last_time => $now }, 'info');
$now++;
is [map { run_app($app)->[0]{status} } 1 .. 3], [200, 200, 429], 'two a second come back';
$now += 100;
run_app($app);
is(PAGI::App::Throttle->info('global')->{tokens}, 2, 'never more than the burst');

run_app(PAGI::App::Throttle->new(app => app_saying('other'), rate => 2, burst => 3)->to_app);
is(PAGI::App::Throttle->info('global')->{tokens}, 1, 'a key is one bucket, whichever instance asks');

PAGI::App::Throttle->reset('global');
is(PAGI::App::Throttle->info('global'), undef, 'reset');
my $keyed = PAGI::App::Throttle->new(app => app_saying('ok'), rate => 1, headers => 0, key_for => sub ($scope) { $scope->{who} })->to_app;
is [map { run_app($keyed, who => $_)->[0]{status} } qw(a b a)], [200, 200, 429], 'by key';
is rates(run_app($keyed, who => 'c')), [undef, undef, undef], 'without headers';
is header(run_app($keyed, who => 'c')->[0], 'retry-after'), 2, 'but retry-after';
run_app($keyed);
ok(PAGI::App::Throttle->info('global'), 'undef is global');
PAGI::App::Throttle->reset_all;
is(PAGI::App::Throttle->info('a'), undef, 'reset_all');

my $custom = PAGI::App::Throttle->new(
    app => 'TestApps::Component', rate => 0.1,
    on_limit => async sub ($scope, $receive, $send, $retry) { await $send->({ type => 'http.response.start', status => 503, headers => [['x-retry', $retry]] }) },
)->to_app;
is [text_of(run_app($custom)), run_app($custom)->[0]], ['component', { type => 'http.response.start', status => 503, headers => [['x-retry', 11]] }], 'on_limit';

PAGI::App::Throttle->reset_all;
my $one = PAGI::App::Throttle->new(app => app_saying('ok'), rate => 1)->to_app;
run_app($one, type => 'lifespan') for 1 .. 3;
is(PAGI::App::Throttle->info('global'), undef, 'lifespan takes no token');
my $sse = run_app($one, type => 'sse');
is [$sse->[0]{type}, rates($sse)], ['sse.start', [1, 0, $now + 1]], 'SSE is counted, and told';
is run_app($one, type => 'sse')->[0]{type}, 'sse.http.response.start', 'SSE refusal';
is run_app($one, type => 'websocket'), [{ type => 'websocket.close' }], 'WebSocket refusal';

PAGI::App::Throttle->reset_all;
my $patient = PAGI::App::Throttle->new(app => app_saying('ok'), rate => 1, burst => 2)->to_app;
run_app($patient);
$now -= 3600;
is run_app($patient)->[0]{status}, 200, 'a clock that was set back takes no tokens';
$now += 3600;

my @headers = (['a', 'b']);
my $constant = PAGI::App::Throttle->new(app => async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => \@headers });
}, rate => 10)->to_app;
PAGI::App::Throttle->reset_all;
run_app($constant) for 1 .. 3;
is scalar @headers, 1, "the app's own array stays as it is";

like dies { PAGI::App::Throttle->new(app => app_saying(''), rate => $_) }, qr/\APAGI::App::Throttle 'rate' must be a number/, "rate $_" for 0, -1, 'x', 'inf';
like dies { PAGI::App::Throttle->new(app => app_saying(''), burst => 0.5) }, qr/'burst' must be a number of requests, 1 or more/, 'burst';

my $many = PAGI::App::Throttle->new(app => app_saying(''), rate => 1, key_for => sub ($scope) { $scope->{who} })->to_app;
run_app($many, who => "early $_") for 1 .. 5_000;
$now += 10;
run_app($many, who => "late $_") for 1 .. 5_001;
is(PAGI::App::Throttle->info('early 1'), undef, 'buckets that are full again are forgotten');
ok(PAGI::App::Throttle->info('late 1'), 'others are not');

done_testing;
