use v5.36;
use lib 't/simple/lib';
use Cwd ();
use File::Basename qw(dirname);
use Future::AsyncAwait;
use PAGI::Middleware::RequestId;
use PAGI::Simple;

# What t/simple/pipeline.t asks for.
package SimpleTest::Pipeline { use parent -norequire, 'PAGI::Simple' }
my $here = dirname(Cwd::abs_path(__FILE__));
my $app = SimpleTest::Pipeline->new(name => 'Pipeline', quiet => 1, home => "$here/..");
my @log;
my @lines;

$app->enable('RequestId', header => 'x-outer-id');
$app->enable_logging(format => 'tiny', output => sub ($line) { push @lines, $line }, skip => ['/lines'], skip_if => sub ($path, $status) { $path eq '/skipped' });
$app->hook(before => sub ($c) { @log = ('before 1'); $c->res_header('x-hook', 1) });
$app->before(async sub ($c) {
    push @log, 'before 2';
    await $c->text('stopped', 403) if $c->path eq '/stopped';
    $c->abort(402, 'pay') if $c->path eq '/pay';
});
$app->hook(after => sub ($c) { push @log, 'after ' . $c->response_status . ' ' . $c->response_size; die "ignored\n" });
for my $name (qw(a b c)) {
    $app->middleware($name => async sub ($c, $next) { push @log, "$name>"; my $got = await $next->(); push @log, "<$name"; return $got });
}
$app->middleware(replaced => sub { die });
$app->middleware(replaced => sub ($c, $next) { my $future = $next->(); push @log, ref $future ? 'future' : 'value'; return $future });
$app->middleware(stop => sub ($c, $next) { $c->json({ stopped => 1 }, 401) });
$app->middleware(boom => sub ($c, $next) { die "boom\n" });
$app->middleware(stash => sub ($c, $next) { $c->stash->{user} = 'ann'; $next->() });

$app->get('/plain' => [ 'a', 'b' ] => sub ($c) { push @log, 'handler'; $c->text('ok') });
$app->get('/replaced' => ['replaced'] => sub ($c) { $c->text('ok') });
$app->get('/stopped' => ['a'] => sub ($c) { $c->text('never') });
$app->get('/pay' => sub ($c) { $c->text('never') });
$app->get('/stop' => [ 'stop', 'a' ] => sub ($c) { $c->text('never') });
$app->get('/boom' => [ 'a', 'boom' ] => sub ($c) { $c->text('never') });
$app->get('/unknown' => ['nope'] => sub ($c) { $c->text('never') }) if $ENV{PIPELINE_UNKNOWN};
$app->get('/inline' => [ 'stash', sub ($c, $next) { $c->res_header('x-inline', 1); $next->() }, PAGI::Middleware::RequestId->new(header => 'x-inner-id') ]
    => async sub ($c) { await $c->text($c->stash->{user}) });
$app->group('/g1', ['a'], sub ($app) {
    $app->get('/one' => ['c'] => sub ($c) { $c->text('one') });
    $app->group('/:x', ['b'], sub { $_[0]->get('/two' => sub ($c) { $c->text($c->path_params->{x}) })->name('two') });
    $app->mount('/todos' => '::Todos', ['stash'], { per_page => 5 });
});
$app->mount('/root' => 'SimpleTest::Pipeline::Bulk');

my $inner = PAGI::Simple->new(name => 'Inner', quiet => 1);
$inner->get('/where' => sub ($c) { $c->json([ $c->mount_path, $c->local_path, $c->full_path, $c->url_for('where'), $c->app->url_for('where') ]) })->name('where');
$inner->get('/' => sub ($c) { $c->json([ $c->local_path, $c->full_path ]) });
my $outer = PAGI::Simple->new(name => 'Outer', quiet => 1);
$outer->mount('/inner/' => $inner);
$outer->error(404 => sub ($c) { $c->text('outer 404') });
$app->mount('outer' => $outer);
$app->mount('/raw' => async sub ($scope, $receive, $send) {
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', body => "raw $scope->{root_path} $scope->{path}" });
}, ['a']);
$app->mount('/broken' => $inner, ['boom']);
$app->mount('/closed' => $inner, ['stop']);
$app->error(500 => sub ($c, $error) { $c->status(503)->text("caught $error") });

$app->static('/assets' => 'public');
$app->static('listing' => { root => 'public', listing => 1, index => [] });
$app->get('/assets/route' => sub ($c) { $c->text('a route') });
$app->get('/log' => sub ($c) { $c->json([]) });
$app->route(LOGGED => '/log' => sub ($c) { });
$app->mount('/trace' => sub ($scope, $receive, $send) {
    my $body = join "\n", @log;
    return $send->({ type => 'http.response.start', status => 200, headers => [] })
        ->then(sub { $send->({ type => 'http.response.body', body => $body }) });
});
$app->get('/skipped' => sub ($c) { $c->text('x') });
$app->mount('/lines' => sub ($scope, $receive, $send) {
    my $body = join "\n", splice @lines;
    return $send->({ type => 'http.response.start', status => 200, headers => [] })
        ->then(sub { $send->({ type => 'http.response.body', body => $body }) });
});
my $rest = PAGI::Simple->new(name => 'Rest', quiet => 1);
$rest->get('/everything/else' => sub ($c) { $c->text('rest ' . $c->full_path) });
$app->mount('/' => $rest);
local $SIG{__WARN__} = sub { } if $ENV{PIPELINE_UNKNOWN};    # the warning has a test in application.t
$app->to_app;
