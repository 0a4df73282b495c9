use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying call_app header http_scope text_of);
use Future;
use Future::IO;
use Future::IO::Impl::IOAsync;
use JSON::MaybeXS qw(decode_json);
use PAGI::App::Delayed;
use PAGI::App::Healthcheck;
use PAGI::App::NotFound;
use PAGI::App::Redirect;
use Time::HiRes ();

subtest 'NotFound' => sub {
    my ($sent) = call_app(PAGI::App::NotFound->new->to_app, http_scope('/x'));
    is $sent, [
        { type => 'http.response.start', status => 404, headers => [['content-type', 'text/plain'], ['content-length', 9]] },
        { type => 'http.response.body', body => 'Not Found', more => 0 },
    ], 'default';
    my $custom = PAGI::App::NotFound->new(body => sub ($scope) {"no $scope->{path}"}, status => 410, content_type => 'text/html');
    ($sent) = call_app($custom->to_app, http_scope('/x'));
    is [$sent->[0]{status}, header($sent->[0], 'content-type'), text_of($sent)], [410, 'text/html', 'no /x'], 'all options';
    ($sent) = call_app(PAGI::App::NotFound->new(body => 'plain')->to_app, http_scope('/x'));
    is [header($sent->[0], 'content-length'), text_of($sent)], [5, 'plain'], 'a string';
    my $bad = PAGI::App::NotFound->new(status => 999)->to_app;
    like dies { call_app($bad, http_scope('/')) }, qr/Status must be between 100 and 599, got '999'/, 'a bad status fails at request time';
};

subtest 'Redirect' => sub {
    my $to = sub ($options, %scope) { (call_app(PAGI::App::Redirect->new(%$options)->to_app, http_scope('/x', %scope)))[0] };
    is $to->({ to => '/new' }), [
        { type => 'http.response.start', status => 302, headers => [['content-type', 'text/plain'], ['location', '/new'], ['content-length', 0]] },
        { type => 'http.response.body', body => '', more => 0 },
    ], 'default';
    is $to->({ to => '/new', status => 301 })->[0]{status}, 301, 'status';
    my $location = sub { header($to->(@_)->[0], 'location') };
    is $location->({ to => sub ($scope) {"/new$scope->{path}"} }), '/new/x', 'coderef';
    is $location->({ to => '/new' }, query_string => 'a=1'), '/new?a=1', 'query';
    is $location->({ to => '/new?b=2' }, query_string => 'a=1'), '/new?b=2&a=1', 'query on query';
    is $location->({ to => '/new', preserve_query => 0 }, query_string => 'a=1'), '/new', 'without';
    like dies { $to->({}) }, qr/PAGI::App::Redirect has no target/, 'no target';
    like dies { $to->({ to => sub {undef} }) }, qr/PAGI::App::Redirect has no target/, 'a coderef that gives none';
};

subtest 'Healthcheck' => sub {
    my $report = sub (%options) {
        my ($sent) = call_app(PAGI::App::Healthcheck->new(%options)->to_app, http_scope('/anything', method => 'POST'));
        return ($sent->[0], decode_json(text_of($sent)));
    };
    my ($start, $json) = $report->();
    is [$start->{status}, $start->{headers}[0], header($start, 'cache-control')], [200, ['content-type', 'application/json'], 'no-cache'], 'fine';
    is $json, { status => 'ok', timestamp => $json->{timestamp}, uptime => $json->{uptime} }, 'nothing more';
    ok abs($json->{timestamp} - time) < 3 && $json->{uptime} >= 0, 'times';
    ($start, $json) = $report->(version => '1.2', checks => { yes => sub {1}, future => sub { Future->done(1) } });
    is [$start->{status}, $json->{version}, $json->{checks}], [200, '1.2', { yes => { status => 'ok' }, future => { status => 'ok' } }], 'passing checks';
    ($start, $json) = $report->(checks => { no => sub {0}, future => sub { Future->done(0) }, dies => sub { die "no disk \n" } });
    is [$start->{status}, $json->{status}, $json->{checks}],
        [503, 'error', { no => { status => 'error' }, future => { status => 'error' }, dies => { status => 'error', message => 'no disk' } }], 'failing checks';
};

subtest 'in every kind of scope' => sub {
    for my $app (PAGI::App::NotFound->new->to_app, PAGI::App::Redirect->new(to => '/')->to_app, PAGI::App::Healthcheck->new->to_app) {
        is((call_app($app, { type => 'lifespan' }))[0], [], 'lifespan: nothing');
        is((call_app($app, http_scope('/', type => 'sse')))[0][0]{type}, 'sse.http.response.start', 'SSE: declined');
        is((call_app($app, http_scope('/', type => 'websocket')))[0], [{ type => 'websocket.close' }], 'WebSocket: closed');
        is((call_app($app, http_scope('/', type => 'websocket', extensions => { 'websocket.http.response' => {} })))[0][1]{type},
            'websocket.http.response.body', 'WebSocket: denied');
    }
};

subtest 'Delayed' => sub {
    my $begin = Time::HiRes::time();
    my ($sent, $future) = call_app(PAGI::App::Delayed->new(app => app_saying('late'), delay => 0.05)->to_app, http_scope('/'));
    is $sent, [], 'not yet';
    $future->get;
    is text_of($sent), 'late', 'answered';
    ok Time::HiRes::time() - $begin >= 0.045, 'later';

    my $ready = Future->new;
    my $app = PAGI::App::Delayed->new(app => app_saying('ready'), wait => sub ($scope) {$ready}, timeout => 0.05)->to_app;
    ($sent, $future) = call_app($app, http_scope('/'));
    $future->get;
    is [$sent->[0]{status}, $sent->[0]{headers}, text_of($sent)], [504, [['content-type', 'text/plain']], 'Gateway Timeout'], 'too late';
    ok !$ready->is_ready, 'what it waited for is not cancelled';
    ($sent, $future) = call_app($app, http_scope('/'));
    $ready->done;
    $future->get;
    is text_of($sent), 'ready', 'in time';
    is text_of((call_app($app, http_scope('/')))[0]), 'ready', 'at once';
    is text_of((call_app(PAGI::App::Delayed->new(app => app_saying('plain'), wait => sub {0})->to_app, http_scope('/')))[0]), 'plain', 'no Future';
    my $failing = PAGI::App::Delayed->new(app => app_saying('x'), wait => sub { Future->fail("no database\n") }, timeout => 1)->to_app;
    like dies { call_app($failing, http_scope('/')) }, qr/no database/, 'a failure passes';
    is text_of((call_app(PAGI::App::Delayed->new(app => app_saying('life'), delay => 9)->to_app, { type => 'lifespan' }))[0]), 'life', 'lifespan does not wait';
    like dies { PAGI::App::Delayed->new(app => app_saying(''), delay => -1) }, qr/\APAGI::App::Delayed 'delay' must be a number of seconds above 0, got '-1' at \Q$0\E/, 'delay';
    like dies { PAGI::App::Delayed->new(app => app_saying(''), wait => 1) }, qr/'wait' must be a coderef/, 'wait';
};

done_testing;
