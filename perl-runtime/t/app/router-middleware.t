use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying call_app text_of);
use Future;
use Future::AsyncAwait;
use PAGI::App::Router;

my @log;
sub logging ($name) {
    return sub ($app) {
        return async sub ($scope, $receive, $send) {
            push @log, "$name in";
            await $app->($scope, $receive, $send);
            push @log, "$name out";
        };
    };
}
{ package Wrapping; sub new ($class, $name) { bless { name => $name }, $class } sub wrap ($self, $app) { main::logging($self->{name})->($app) } }

my $handler = async sub ($scope, $receive, $send) {
    push @log, 'handler';
    await app_saying('ok ' . ($scope->{user} // ''))->($scope, $receive, $send);
};
sub run_app ($router, $path, %scope) {
    @log = ();
    my ($sent) = call_app($router->to_app, { path => $path, method => 'GET', %scope });
    return ($sent, [@log]);
}

my $r = PAGI::App::Router->new;
$r->get('/none' => $handler)->get('/empty' => [] => $handler);
$r->get('/onion' => [map { logging($_) } qw(a b c)] => $handler);
$r->get('/mixed' => [logging('code'), Wrapping->new('object')] => $handler);
$r->get('/stop' => [sub ($app) { app_saying('who are you?', 401) }, logging('never')] => $handler);
$r->get('/scope' => [sub ($app) { sub ($scope, @io) { $app->({ %$scope, user => 'ann' }, @io) } }] => $handler);
$r->websocket('/ws' => [logging('ws')] => $handler)->sse('/sse' => [Wrapping->new('sse')] => $handler);
$r->mount('/m' => [logging('mount')] => PAGI::App::Router->new->get('/x' => [logging('route')] => $handler));

is((run_app($r, '/none'))[1], ['handler'], 'none');
is((run_app($r, '/empty'))[1], ['handler'], 'an empty list');
is((run_app($r, '/onion'))[1], ['a in', 'b in', 'c in', 'handler', 'c out', 'b out', 'a out'], 'first one outermost');
is((run_app($r, '/mixed'))[1], ['code in', 'object in', 'handler', 'object out', 'code out'], 'coderefs and objects');
my ($sent, $log) = run_app($r, '/stop');
is [$sent->[0]{status}, $log], [401, []], 'one that answers';
is text_of((run_app($r, '/scope'))[0]), 'ok ann', 'another scope';
is((run_app($r, '/ws', type => 'websocket'))[1], ['ws in', 'handler', 'ws out'], 'WebSocket');
is((run_app($r, '/sse', type => 'sse'))[1], ['sse in', 'handler', 'sse out'], 'SSE');
is((run_app($r, '/m/x'))[1], ['mount in', 'route in', 'handler', 'route out', 'mount out'], 'mount and route');

my $wrapped = PAGI::App::Router->new->post('/io' => [
    sub ($app) {
        return sub ($scope, $receive, $send) {
            $app->($scope,
                sub { $receive->()->then(sub ($event) { Future->done({ %$event, body => uc $event->{body} }) }) },
                sub ($event) { $send->(defined $event->{body} ? { %$event, body => "<$event->{body}>" } : $event) });
        };
    },
] => async sub ($scope, $receive, $send) {
    my $event = await $receive->();
    await app_saying($event->{body})->($scope, $receive, $send);
});
my ($io) = call_app($wrapped->to_app, { path => '/io', method => 'POST' }, { type => 'http.request', body => 'abc', more => 0 });
is text_of($io), '<ABC>', 'receive and send wrapped';

my $composed = 0;
my $once = PAGI::App::Router->new->get('/' => [sub ($app) { $composed++; my $count = 0; sub ($scope, @io) { app_saying(++$count)->($scope, @io) } }] => $handler)->to_app;
is [map { text_of((call_app($once, { path => '/', method => 'GET' }))[0]) } 1 .. 3], [1, 2, 3], 'state lives on';
is $composed, 1, 'composed once';

for my $case (['a string', 'scalar'], [{}, 'HASH'], [bless({}, 'Plain'), 'Plain'], [undef, 'scalar']) {
    my ($entry, $type) = @$case;
    like dies { $r->get('/bad' => [$entry] => $handler) },
        qr/\AInvalid middleware: expected coderef factory or object with ->wrap method, got $type at \Q$0\E/, "$type refused";
}
like dies { $r->mount('/bad' => ['x'] => $handler) }, qr/\AInvalid middleware/, 'for mounts too';

done_testing;
