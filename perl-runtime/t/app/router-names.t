use v5.36;
use utf8;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use AppHelper qw(app_saying);
use PAGI::App::Router;
use TestApps::Component;

my $app = app_saying('x');
my $r = PAGI::App::Router->new;
$r->get('/' => $app)->name('home')->get('/users/:id/posts/{post}' => $app)->name('post')->get('/files/*path' => $app)->name('file');
$r->get('/y/{year:\d{4}}' => $app)->name('year')->websocket('/ws/:room' => $app)->name('ws')->sse('/sse' => $app)->name('sse');
$r->any('/any' => $app)->name('any')->get('/ä b%' => $app)->name('odd');

is $r->uri_for('home'), '/', 'no parameters';
is $r->uri_for('post', { id => 4, post => 'x' }), '/users/4/posts/x', 'parameters';
is $r->uri_for('year', { year => 2026 }), '/y/2026', 'constrained braces';
is [map { $r->uri_for(@$_) } ['ws', { room => 'a' }], ['sse'], ['any']], ['/ws/a', '/sse', '/any'], 'every kind of route';
is $r->uri_for('home', {}, { b => 2, a => 'x y&z=ä~' }), '/?a=x%20y%26z%3D%C3%A4~&b=2', 'query sorted and encoded';
is $r->uri_for('home', undef, { a => [1, 2], b => undef }), '/?a=1&a=2&b=', 'several values, none';
is $r->uri_for('post', { id => 'a/b c', post => 'あ?#' }), '/users/a%2Fb%20c/posts/%E3%81%82%3F%23', 'values are encoded as UTF-8';
is $r->uri_for('file', { path => 'a/b c.txt' }), '/files/a/b%20c.txt', 'slashes in wildcards stay';
is $r->uri_for('odd'), '/%C3%A4%20b%25', 'literal text too';
is $r->named_routes->{post}{path}, '/users/:id/posts/{post}', 'table';
$r->named_routes->{post}{path} = 'changed';
is $r->uri_for('post', { id => 1, post => 2 }), '/users/1/posts/2', 'which is a copy';

like dies { $r->uri_for('nope') }, qr/\AUnknown route name: 'nope' at \Q$0\E/, 'unknown';
like dies { $r->uri_for('post', { id => 1 }) }, qr/\AMissing required path parameter 'post' for route 'post' at \Q$0\E/, 'missing';
like dies { PAGI::App::Router->new->name('x') }, qr/\Aname\(\) called without a preceding route at \Q$0\E/, 'no route';
like dies { $r->get('/n' => $app)->name('') }, qr/\ARoute name required/, 'no name';
like dies { $r->get('/n' => $app)->name('home') }, qr/\ANamed route 'home' already exists/, 'twice';

subtest 'namespaces' => sub {
    my $inner = PAGI::App::Router->new->get('/i/:id' => $app)->name('get');
    my $middle = PAGI::App::Router->new->get('/m' => $app)->name('list');
    $middle->mount('/inner' => $inner)->as('inner');
    my $outer = PAGI::App::Router->new;
    $outer->mount('/middle/' => $middle)->as('middle');
    is [sort keys %{ $outer->named_routes }], ['middle.inner.get', 'middle.list'], 'nested';
    is $outer->uri_for('middle.inner.get', { id => 3 }), '/middle/inner/i/3', 'prefixes add up';
    like dies { $outer->as('x') }, qr/\Aas\(\) called without a preceding mount or group/, 'nothing to name';
    like dies { $outer->mount('/y' => $inner)->as('') }, qr/\ANamespace required/, 'no namespace';
    like dies { $outer->mount('/c' => $_)->as('c') }, qr/\Aas\(\) requires mounting a router object, not an app coderef/, 'no router'
        for $app, 'TestRoutes::Admin', TestApps::Component->new;
    like dies { $outer->mount('/z' => $middle)->as('middle') }, qr/\ANamed route 'middle\.inner\.get' already exists/, 'collision';
    like dies { $outer->mount('/m' => $inner)->name('m') }, qr/\Aname\(\) called without/, 'a mount has no name';
};

done_testing;
