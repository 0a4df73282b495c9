use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying call_app http_scope text_of);
use Future;
use Future::AsyncAwait;
use PAGI::App::Cascade;
use PAGI::App::URLMap;
use TestApps::Component;

my $where = app_saying(sub { join '|', $_[0]{root_path} // '', $_[0]{path} // '', exists $_[0]{script_name} ? 'script_name' : () });
sub brief ($app, $path, %more) {
    my ($sent) = call_app($app, http_scope($path, %more));
    return ($sent->[0]{status} // $sent->[0]{type} // 'nothing') . ' ' . text_of($sent);
}

subtest 'URLMap' => sub {
    my $map = PAGI::App::URLMap->new;
    is ref $map->mount('/api/' => $where)->mount('/api/v2' => TestApps::Component->new(body => 'v2')), 'PAGI::App::URLMap', 'chainable';
    $map->map({ '/class' => 'TestApps::AutoLoaded', '/other' => $where });
    my $app = $map->to_app;
    $map->mount('/late' => $where);
    is brief($app, '/api/users'), '200 /api|/users', 'path and root_path';
    is brief($app, '/api'), '200 /api|/', 'the prefix itself';
    is brief($app, '/api/x', root_path => '/outer'), '200 /outer/api|/x', 'root_path grows';
    is brief($app, '/api/v2/x'), '200 v2', 'longest first, an object';
    is brief($app, '/class'), '200 auto-loaded', 'a class';
    is brief($app, '/other/x'), '200 /other|/x', 'by map';
    is brief($app, '/apix'), '404 Not Found', 'no match';
    is brief($app, '/late'), '404 Not Found', 'to_app has the mounts of its time';
    is brief(PAGI::App::URLMap->new->mount('/' => $where)->to_app, '/x'), '200 |/x', 'an empty prefix takes everything';
    is brief(PAGI::App::URLMap->new(default => 'TestApps::Component')->to_app, '/x'), '200 component', 'default';
    is brief($app, '/api/x', type => 'websocket'), 'websocket.accept /api|/x', 'WebSocket';
    is brief($app, '/x', type => 'websocket'), 'websocket.close ', 'refused in its own family';
    is brief($app, '/x', type => 'sse'), '404 Not Found', 'SSE';
    is((call_app($app, { type => 'lifespan' }))[0], [], 'lifespan: nothing');
    like dies { $map->mount('/x' => 'No::Such::Class') }, qr/\AFailed to load 'No::Such::Class'.* at \Q$0\E/s, 'unknown class';
    like dies { $map->mount('/x') }, qr/\Amount\(\) needs a path prefix and an app at \Q$0\E/, 'no app';
};

subtest 'Cascade' => sub {
    my ($no, $wrong, $yes) = (app_saying('no', 404), app_saying('wrong', 405), app_saying('yes'));
    my $cascade = sub (@apps) { PAGI::App::Cascade->new(apps => \@apps)->to_app };
    is brief($cascade->($no, $yes, app_saying('late')), '/'), '200 yes', 'the first that is not 404';
    is brief($cascade->($no, $wrong, app_saying('last', 404)), '/'), '404 last', 'all 404: the last one answers';
    is brief($cascade->($wrong, $yes), '/'), '200 yes', '405 is caught';
    is brief($cascade->(app_saying('forbidden', 403), $yes), '/'), '403 forbidden', '403 is not';
    is brief(PAGI::App::Cascade->new(apps => [app_saying('x', 403), $no], catch => [403])->to_app, '/'), '404 no', 'unless told so';
    is brief(PAGI::App::Cascade->new->add($no)->add('TestApps::AutoLoaded')->to_app, '/'), '200 auto-loaded', 'add, coerced';
    my $growing = PAGI::App::Cascade->new(apps => [$no]);
    my $before = $growing->to_app;
    $growing->add($yes);
    is [map { brief($_, '/') } $before, $growing->to_app], ['404 no', '200 yes'], 'to_app has the apps of its time';
    is brief($cascade->('TestApps::Component'), '/'), '200 component', 'one';
    is brief($cascade->(), '/'), '404 Not Found', 'none';
    is((call_app($cascade->(sub { Future->done }, $yes), http_scope('/')))[0], [], 'no start event ends the cascade');
    like dies { call_app($cascade->(sub { Future->fail("broken\n") }, $yes), http_scope('/')) }, qr/broken/, 'nor is an exception caught';
};

subtest 'Cascade streams' => sub {
    my $gate = Future->new;
    my $slow = async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        await $send->({ type => 'http.response.body', body => 'first ', more => 1 });
        await $gate;
        await $send->({ type => 'http.response.body', body => 'second', more => 0 });
    };
    my ($sent, $future) = call_app(PAGI::App::Cascade->new(apps => [$slow, app_saying('other')])->to_app, http_scope('/'));
    is text_of($sent), 'first ', 'what a taking app sends goes out at once';
    $gate->done;
    $future->get;
    is text_of($sent), 'first second', 'and the rest later';
};

subtest 'Cascade replays the request' => sub {
    my $reading = sub ($status) {
        return async sub ($scope, $receive, $send) {
            my $body = '';
            while (1) {
                my $event = await $receive->();
                $body .= $event->{body} // "[$event->{type}]";
                last unless $event->{more};
            }
            $scope->{seen} .= 'x';
            await app_saying("$body $scope->{seen}", $status)->($scope, $receive, $send);
        };
    };
    my @body = ({ type => 'http.request', body => 'ab', more => 1 }, { type => 'http.request', body => 'cd', more => 0 });
    my $app = PAGI::App::Cascade->new(apps => [map { $reading->($_) } 404, 404, 200])->to_app;
    my ($sent) = call_app($app, http_scope('/', method => 'POST', seen => ''), @body);
    is text_of($sent), 'abcd x', 'each app reads the whole body, with a scope of its own';

    my $once = PAGI::App::Cascade->new(apps => [
        async sub ($scope, $receive, $send) { await $receive->(); await app_saying('', 404)->($scope, $receive, $send) },
        async sub ($scope, $receive, $send) {
            my @bodies;
            for (my $i = 0; $i < 3; $i++) { push @bodies, (await $receive->())->{body} // 'gone' }
            await app_saying("@bodies")->($scope, $receive, $send);
        },
    ])->to_app;
    ($sent) = call_app($once, http_scope('/', method => 'POST'), @body, { type => 'http.disconnect' });
    is text_of($sent), 'ab cd gone', 'what was not read by the first follows';

    my $later = Future->new;
    my $impatient = PAGI::App::Cascade->new(apps => [
        async sub ($scope, $receive, $send) { my $f = $receive->(); $f->cancel; $receive->(); await app_saying('', 404)->($scope, $receive, $send) },
        async sub ($scope, $receive, $send) { await app_saying((await $receive->())->{body})->($scope, $receive, $send) },
    ])->to_app;
    (my $out, my $future) = call_app($impatient, http_scope('/'), sub { $later });
    $later->done({ type => 'http.request', body => 'in the end', more => 0 });
    $future->get;
    is text_of($out), 'in the end', 'a pending or cancelled receive loses nothing';
};

subtest 'Cascade with other scopes' => sub {
    my $closing = async sub ($scope, $receive, $send) { await $send->({ type => 'websocket.close' }) };
    my $denying = async sub ($scope, $receive, $send) {
        await $send->({ type => 'websocket.http.response.start', status => 404, headers => [] });
        await $send->({ type => 'websocket.http.response.body', body => '' });
    };
    my $refusing = async sub ($scope, $receive, $send) { await $send->({ type => 'sse.http.response.start', status => 404 }) };
    is brief(PAGI::App::Cascade->new(apps => [$closing, $denying, app_saying('ws'), app_saying('late')])->to_app, '/', type => 'websocket'),
        'websocket.accept ws', 'WebSocket';
    is brief(PAGI::App::Cascade->new(apps => [$refusing, app_saying('events')])->to_app, '/', type => 'sse'), 'sse.start events', 'SSE';

    my $startup = async sub ($scope, $receive, $send) { await $receive->(); await $send->({ type => 'lifespan.startup.complete' }) };
    my $app = PAGI::App::Cascade->new(apps => [sub { Future->fail("no lifespan here\n") }, sub { Future->done }, $startup, sub { die 'never asked' }])->to_app;
    my ($sent) = call_app($app, { type => 'lifespan' }, { type => 'lifespan.startup' });
    is $sent, [{ type => 'lifespan.startup.complete' }], 'lifespan goes to the first that answers';
};

done_testing;
