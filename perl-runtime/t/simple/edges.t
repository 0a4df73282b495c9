use v5.36;
use lib 't/lib';
use Test2::V0;
use Encode ();
use Future;
use Future::AsyncAwait;
use Hash::MultiValue;
use PAGI::Simple;
use PAGI::Simple::BodyStream;
use PAGI::Simple::Context;
use PAGI::Simple::Router;
use PAGI::Simple::Upload;
use PAGI::Simple::View;
use PAGI::Simple::View::Form;
use PAGI::Test::ConnectionState;
use PAGITest::Backends qw(each_backend);

# What happens when callbacks fail, middleware says nothing, or a value is not what it should be.

my $app = <<'APP';
use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;
my @warnings;
$SIG{__WARN__} = sub { push @warnings, @_ };
my $app = PAGI::Simple->new(name => 'Edges', quiet => 1);
$app->middleware(mute => sub ($c, $next) { });
$app->middleware(dies => sub ($c, $next) { die "no key\n" });
$app->middleware(teapot => async sub ($c, $next) { await $c->text('short and stout', 418) });
for my $what (qw(mute dies teapot)) {
    $app->get("/$what" => [$what] => sub ($c) { $c->text('never') });
    $app->websocket("/ws-$what" => [$what] => sub ($ws) { $ws->send('never') });
    $app->sse("/sse-$what" => [$what] => sub ($sse) { $sse->send('never') });
    my $child = PAGI::Simple->new(name => 'Child', quiet => 1);
    $child->get('/' => sub ($c) { $c->text('never') });
    $app->mount("/mount-$what" => $child, [$what]);
}
$app->sse('/sse-late' => async sub ($sse) { await $sse->send('first'); die "late\n" });
$app->sse('/sse-told' => async sub ($sse) { $sse->on(error => sub ($error) { push @warnings, "told: $error" }); await $sse->send('first'); die "late\n" });
$app->websocket('/ws-plain' => sub ($ws) { $ws->on(message => sub ($text) { die "no $text\n" if $text eq 'bad'; $ws->send("got $text") }) });
$app->websocket('/ws-open' => sub ($ws) { $ws->on(open => sub { die "cannot open\n" })->on(close => sub { die "cannot close\n" }); $ws->on(message => sub ($text) { $ws->send($text) }) });
$app->get('/warnings' => sub ($c) { my @all = splice @warnings; $c->json(\@all) });
$app->get('/redirect' => sub ($c) { $c->redirect("/caf\x{e9} \x{263a}?q=\"x\"") });
$app->get('/charset' => sub ($c) { $c->content_type('text/x; charset="iso-8859-1"')->res_header('Content-Length', 99)->send_utf8("caf\x{e9}") });
$app->get('/formats' => sub ($c) { $c->respond_to(html => sub ($c) { $c->html('<p>'); return 'no Future' }, json => async sub ($c) { await $c->json([1]) }) });
$app->post('/expects' => sub ($c) { $c->json($c->json_body) });
$app->to_app;
APP

each_backend($app, sub ($client, $backend) {
    my $wait = 20;
    my $warned = sub ($count) {
        my @all;
        for (1 .. 500) { push @all, @{ $client->get('/warnings')->json }; last if @all >= $count; select undef, undef, undef, 0.02 }
        return [ sort @all ];
    };
    my %answer = (
        mute => [ [ 500, 'Internal Server Error' ], [ 403, 'Forbidden' ] ], dies => [ ([ 500, 'Internal Server Error' ]) x 2 ], teapot => [ ([ 418, 'short and stout' ]) x 2 ],
    );
    my $brief = sub ($r) { [ $r->status, $r->text ] };
    for my $what (qw(mute dies teapot)) {
        my ($http, $connection) = @{ $answer{$what} };
        is $brief->($client->get("/$what")), $http, "middleware that " . ($what eq 'mute' ? 'says nothing' : $what eq 'dies' ? 'dies' : 'answers') . ': a request';
        is $brief->($client->websocket("/ws-$what", decline_ok => 1)->response), $connection, '... a WebSocket';
        is $brief->($client->sse("/sse-$what", decline_ok => 1)->response), $connection, '... an event stream';
        is $client->get("/mount-$what/")->status, $what eq 'mute' ? 403 : $http->[0], '... a mount';
    }
    $warned->(4);

    my $sse = $client->sse('/sse-late');
    is [ map { $_ && $_->{data} } map { $sse->receive_event(timeout => $wait) } 1, 2 ], [ 'first', undef ], 'a stream whose callback dies ends';
    is $warned->(1), ["PAGI::Simple::SSE error: late\n"], 'with a warning';
    $sse = $client->sse('/sse-told');
    $sse->receive_event(timeout => $wait) for 1, 2;
    is $warned->(1), ["told: late\n"], 'or a word to on(error)';
    my $ws = $client->websocket('/ws-plain');
    $ws->send_text($_) for 'bad', 'good';
    is $ws->receive_text($wait), 'got good', 'a message callback that dies ends nothing';
    is $warned->(1), ["PAGI::Simple::WebSocket error: no bad\n"], 'but is warned about';
    $ws->close;
    $ws = $client->websocket('/ws-open');
    $ws->send_text('still');
    is $ws->receive_text($wait), 'still', 'nor does one of on(open)';
    $ws->close;
    is $warned->(2), [ "PAGI::Simple::WebSocket close callback error: cannot close\n", "PAGI::Simple::WebSocket open callback error: cannot open\n" ], 'or on(close)';

    is $client->get('/redirect')->location, '/caf%C3%A9%20%E2%98%BA?q="x"', 'a location is ASCII';
    is [ map { $_->content, $_->content_type, $_->content_length } $client->get('/charset') ], [ "caf\xe9", 'text/x; charset="iso-8859-1"', 4 ], 'a charset in the type, the length anew';
    is [ map { $client->get('/formats', headers => { Accept => $_ })->text } 'text/html', 'application/json' ], [ '<p>', '[1]' ], 'formats of plain and async subs';
    # the client of these tests does not understand the interim answer of a server
    is $client->post('/expects', json => { a => 1 }, headers => { Expect => '100-continue' })->json, { a => 1 }, 'a body that the client holds back at first' if $backend eq 'in-process';
});

subtest 'WebSockets that cannot be answered' => sub {
    my $app = PAGI::Simple->new(name => 'x', quiet => 1);
    $app->middleware(no => sub ($c, $next) { $c->text('no', 401) });
    $app->websocket('/' => ['no'] => sub ($ws) { });
    my @sent;
    $app->to_app->({ type => 'websocket', path => $_, headers => [] }, sub { Future->new }, sub ($event) { push @sent, $event; Future->done })->get for '/', '/none';
    is \@sent, [ ({ type => 'websocket.close', code => 1008, reason => '' }) x 2 ], 'are refused by a close when the server knows no denial response';
};

subtest 'the end of a request' => sub {
    my $connection = PAGI::Test::ConnectionState->new;
    my $c = PAGI::Simple::Context->new(scope => { 'pagi.connection' => $connection });
    my $gone = $c->disconnect_future;
    is [ $c->is_disconnected, $gone->is_ready ? 1 : 0 ], [ 0, 0 ], 'connected';
    $connection->_mark_disconnected('client_closed');
    is [ $c->is_disconnected, $gone->get ], [ 1, 'client_closed' ], 'gone, with the reason';
    my $bare = PAGI::Simple::Context->new(scope => {});
    is [ $bare->is_disconnected, $bare->disconnect_future->is_ready ? 1 : 0 ], [ 0, 0 ], 'nothing is known without a connection object';
};

subtest 'values' => sub {
    my $router = PAGI::Simple::Router->new;
    my $route = $router->add(get => '/a', ['m'], sub { }, name => 'a');
    is [ $route->middleware, $route->name ], [ ['m'], 'a' ], 'a route with middleware and a name';
    like dies { $router->add(get => '/b', \'text') }, qr{Invalid route arguments for '/b'}, 'and with what is none';

    my $upload = PAGI::Simple::Upload->new(name => 'f', filename => 'a.txt', content_type => 'text/x', data => 'x');
    is [ map { $upload->header($_) } 'Content-Disposition', 'CONTENT-TYPE', 'x-other' ], [ 'form-data; name="f"; filename="a.txt"', 'text/x', undef ], 'headers of an upload';

    my $stream = PAGI::Simple::BodyStream->new(receive => sub { Future->done({ type => 'http.request', body => 'x', more => 0 }) });
    like $stream->stream_to('text')->failure, qr/\Astream_to takes a filehandle, a coderef or an object with a write method/, 'a sink that is none';

    package SimpleTest::Errors { sub new ($class) { bless {}, $class } sub to_hash ($self) { { a => ['is bad'] } } }
    package SimpleTest::WithErrors { sub new ($class) { bless { a => 1 }, $class } sub errors ($self) { SimpleTest::Errors->new } sub a ($self) { $self->{a} } }
    my $model = SimpleTest::WithErrors->new;
    my $form = PAGI::Simple::View::Form->for_model($model, url => '/');
    ref_is $form->model, $model, 'the model of a form';
    like '' . $form->errors_for('a'), qr/is bad/, 'errors of an object that makes a hash of them';

    my $view = PAGI::Simple::View->new(directory => 't/simple/templates');
    is $view->render_string('[% escape_javascript(x) %]', x => "</script>\x{2028}&"), '\\u003C\\/script\\u003E\\u2028\\u0026', 'nothing ends a script';
    is $view->render_string('[% capture(x) %]', x => '<b>'), '<b>', 'captured text is safe';
    my $vars = PAGI::Simple::View::Vars->new({ a => 1 });
    is [ $vars->can('a')->($vars), $vars->can('has') ? 1 : 0 ], [ 1, 1 ], 'can';
};

done_testing;
