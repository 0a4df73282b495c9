use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying call_app text_of);
use PAGI::App::Router;
use PAGITest::Backends qw(each_backend);

my $app = PAGI::App::Router->new->get('/known' => app_saying('known'))->to_app;

for my $case (['http', 'http.response'], ['sse', 'sse.http.response']) {
    my ($type, $family) = @$case;
    my ($sent) = call_app($app, { type => $type, path => '/x', method => 'GET' });
    is $sent, [
        { type => "$family.start", status => 404, headers => [['content-type', 'text/plain']] },
        { type => "$family.body", body => 'Not Found', more => 0 },
    ], $type;
}
my ($denied) = call_app($app, { type => 'websocket', path => '/x', extensions => { 'websocket.http.response' => {} } });
is [map { $_->{type} } @$denied], ['websocket.http.response.start', 'websocket.http.response.body'], 'WebSocket denial';
is $denied->[0]{status}, 404, 'status';
my ($closed) = call_app($app, { type => 'websocket', path => '/x', extensions => {} });
is $closed, [{ type => 'websocket.close' }], 'WebSocket without the extension: exactly one close';

my $custom = PAGI::App::Router->new(not_found => app_saying(sub {"custom $_[0]{type}"}))->get('/known' => app_saying('known'))->to_app;
for my $type (qw(http websocket sse)) {
    my ($sent) = call_app($custom, { type => $type, path => '/x', method => 'GET' });
    is text_of($sent), "custom $type", "not_found for $type";
}
my ($wrong) = call_app($custom, { type => 'http', path => '/known', method => 'POST' });
is $wrong->[0]{status}, 405, 'but not for 405';

each_backend('use PAGI::App::Router; PAGI::App::Router->new->to_app', sub ($client, $backend) {
    my $sse = $client->sse('/nowhere', decline_ok => 1);
    is [$sse->response->status, $sse->response->content], [404, 'Not Found'], 'an unmatched event stream is a plain 404';
    unlike $sse->response->header('content-type'), qr/event-stream/, 'and no stream';
    my $ws = $client->websocket('/nowhere', decline_ok => 1);
    like $ws->response->status, qr/\A40[34]\z/, 'an unmatched WebSocket is refused';
});

done_testing;
