use v5.36;
use Future::AsyncAwait;
use PAGI::App::Router;
use PAGI::Endpoint::Router;
use PAGI::Simple;
use PAGI::Sync qw(sync);
use PAGI::WorkerPool;

# Handlers that block, in every router, and whole applications in the pool. Most answers are the process id and what was seen.

sub note ($text) { open my $file, '>>', $ENV{POOL_NOTES} or die "$!"; syswrite $file, "$text\n"; return }
sub noted ($line) { open my $file, '<', $ENV{POOL_NOTES} or die "$!"; return scalar grep { $_ eq "$line\n" } readline $file }

async sub text ($send, $body, @headers) {
    await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-length', length $body ], @headers ] });
    await $send->({ type => 'http.response.body', body => $body });
}

async sub body ($receive) {
    my ($length, $more) = (0, 1);
    while ($more) {
        my $event = await $receive->();
        $length += length($event->{body} // '');
        $more = $event->{more};
    }
    return $length;
}

my $pool = PAGI::WorkerPool->new(
    init => sub { return { made_in => $$ } },
    apps => {
        state  => async sub ($scope, $receive, $send) { return await text($send, "$$ $scope->{'pagi.worker_state'}{made_in}") },
        stream => async sub ($scope, $receive, $send) {
            await $send->({ type => 'http.response.start', status => 200, headers => [] });
            for my $number (1 .. 2000) {
                await $send->({ type => 'http.response.body', body => "part $number\n" . '.' x 10_000, more => 1 });
            }
            await $send->({ type => 'http.response.body', body => 'end' });
        },
        # Until the client goes.
        endless => async sub ($scope, $receive, $send) {
            note("endless in $$");
            await $receive->();
            await $send->({ type => 'http.response.start', status => 200, headers => [] });
            my $gone = $receive->();
            until ($gone->is_ready) {
                await $send->({ type => 'http.response.body', body => '.' x 1000, more => 1 });
                await Future::IO->sleep(0.01);
            }
            my $event = await $gone;
            note("endless saw $event->{type}");
        },
    },
);

# Middleware: a header, and a note of where it ran.
sub with_header ($app) {
    return async sub ($scope, $receive, $send) {
        note("middleware in $$");
        return await $app->($scope, $receive, async sub ($event) {
            push @{ $event->{headers} }, [ 'x-middleware', $$ ] if $event->{type} eq 'http.response.start';
            return await $send->($event);
        });
    };
}

my $router = PAGI::App::Router->new;
$router->get('/pid' => async sub ($scope, $receive, $send) { return await text($send, $$) });
$router->get('/sync/:id' => [ \&with_header ] => sync(async sub ($scope, $receive, $send) { return await text($send, "$$ $scope->{path_params}{id}") }));
$router->post('/sync/:id' => sync(async sub ($scope, $receive, $send) { my $length = await body($receive); return await text($send, "$$ $length") }));
$router->get('/gate/:name' => sync(async sub ($scope, $receive, $send) {
    my $name = $scope->{path_params}{name};
    note("begin $name");
    select undef, undef, undef, 0.01 until noted("open $name");
    return await text($send, $$);
}));
$router->mount('/mounted' => sync(async sub ($scope, $receive, $send) { return await text($send, "$$ $scope->{root_path} $scope->{path}") }));
$router->get('/by-class' => bless async sub ($scope, $receive, $send) { return await text($send, $$) }, 'PAGI::Sync');
$router->sse('/events' => sync(async sub ($scope, $receive, $send) {
    await $send->({ type => 'sse.start' });
    await $send->({ type => 'sse.send', data => "$$" });
}));
$router->websocket('/socket' => sync(async sub ($scope, $receive, $send) {
    await $receive->();
    await $send->({ type => 'websocket.accept' });
    await $send->({ type => 'websocket.send', text => "$$" });
    await $send->({ type => 'websocket.close' });
}));
# The body is read before the marked handler is reached.
sub reads ($app) { return async sub ($scope, $receive, $send) { my $event = await $receive->(); return await $app->($scope, sub { Future->done($event) }, $send) } }
$router->post('/late' => [ \&reads ] => sync(async sub ($scope, $receive, $send) { return await text($send, $$) }));

package Local::Endpoint {
    use parent -norequire, 'PAGI::Endpoint::Router';
    sub routes ($self, $r) {
        $r->get('/blocking' => PAGI::Sync::sync(sub ($ctx) { return $ctx->text("$$ " . $ctx->request->query_param('q')) }));
        $r->post('/blocking' => PAGI::Sync::sync(async sub ($ctx) { my $text = await $ctx->request->text; return $ctx->text("$$ " . length $text) }));
        return;
    }
}
$router->mount('/endpoint' => Local::Endpoint->to_app);

my $simple = PAGI::Simple->new(name => 'Local::Simple', quiet => 1);
$simple->get('/blocking/:n' => sync(sub ($c) { return $c->text("$$ " . $c->path_params->{n}) }));
$simple->post('/blocking' => sync(async sub ($c) { my $data = $c->json_body; return $c->json({ pid => $$, %$data }) }));
$simple->get('/quick' => sub ($c) { return $c->text($$) });
$router->mount('/simple' => $simple->to_app);

for my $name (qw(state stream endless)) {
    $router->get("/app/$name" => async sub ($scope, $receive, $send) { return await $pool->run_app($name, $scope, $receive, $send) });
}
$router->get('/app/none' => async sub ($scope, $receive, $send) {
    return await text($send, 'lived') if eval { await $pool->run_app('none', $scope, $receive, $send); 1 };
    return await text($send, ($@->details)[0] . ": " . $@->message->message);
});

$router->to_app;
