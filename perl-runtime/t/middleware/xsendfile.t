use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Cwd ();
use Drive;
use Future::AsyncAwait;
use PAGI::Middleware::Builder;
use PAGI::Middleware::XSendfile;

my $X = 'PAGI::Middleware::XSendfile';
my $file = Cwd::abs_path(__FILE__);
package Test::Handle { sub new ($class, $path) { bless { path => $path }, $class } sub path ($self) { $self->{path} } }

sub send_body ($body, $config = {}, $headers = [ [ 'Content-Type', 'text/plain' ], [ 'x-own', 1 ] ]) {
    return drive($X->new(type => 'X-Sendfile', %$config)->wrap(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => $headers, 'x.key' => 1 });
        await $send->({ type => 'http.response.body', %$body });
    }), http_scope(), slow => 1);
}

for my $type (qw(X-Accel-Redirect X-Sendfile X-Lighttpd-Send-File)) {
    my $result = send_body({ file => '/srv/files/a.txt' }, { type => $type });
    is([ $result->headers ], [ [ 'Content-Type', 'text/plain' ], [ 'x-own', 1 ], [ $type, '/srv/files/a.txt' ] ], "$type, other headers kept");
    is([ ($result->events)[1] ], [ { type => 'http.response.body', body => '' } ], 'empty body');
    is($result->start->{'x.key'}, 1, 'other keys of the start kept');
}

my $value = sub ($path, $mapping) { send_body({ file => $path }, { mapping => $mapping })->header('X-Sendfile') };
is($value->('/a/b', '/internal'), '/internal/a/b', 'string mapping');
is($value->('/srv/files/x', { '/srv/' => '/p/', '/srv/files/' => '/files/' }), '/files/x', 'hash mapping, longest prefix');
is($value->('/other/x', { '/srv/' => '/p/' }), '/other/x', 'no match');
is($value->('/a', undef), '/a', 'none');

is(send_body({ file => '/a b%?.txt' }, { type => 'X-Accel-Redirect' })->header('X-Accel-Redirect'), '/a%20b%25%3F.txt', 'nginx gets a URI');
is(send_body({ file => '/a b%.txt' })->header('X-Sendfile'), '/a b%.txt', 'the others a file name');
is(send_body({ file => "/caf\x{e9}\x{263a}" })->header('X-Sendfile'), "/caf\xc3\xa9\xe2\x98\xba", 'in UTF-8');

is(send_body({ file => '/a' }, { variation => 'Cookie' })->header('Vary'), 'Cookie', 'variation');
is(send_body({ file => '/a' }, {}, [ [ 'content-length', 1000 ] ])->header('content-length'), undef, "the file's length goes: the body is empty");

is(send_body({ fh => Test::Handle->new('/srv/h') })->header('X-Sendfile'), '/srv/h', 'an fh with a path');
open my $fh, '<', $file or die $!;
my $plain = send_body({ fh => $fh });
is([ $plain->header('X-Sendfile'), ($plain->events)[1]{fh} ], [ undef, $fh ], 'a plain fh passes');
is(send_body({ fh => $fh }, {}, [ [ 'content-length', -s $file ] ])->header('content-length'), -s $file, 'with its length');
for my $part ({ offset => 2, length => 3 }, { length => 3 }, { offset => 0 }) {
    my $result = send_body({ file => $file, %$part });
    is([ $result->header('X-Sendfile'), ($result->events)[1] ], [ undef, { type => 'http.response.body', file => $file, %$part } ], 'a part passes: ' . join ',', sort keys %$part);
}
is(send_body({ file => "/a\nX: b" })->header('X-Sendfile'), undef, 'a name that is no header value passes');
is(send_body({ body => 'text' })->body, 'text', 'plain bodies pass');

my $static = builder { enable 'XSendfile', type => 'X-Sendfile'; enable 'Static', root => Cwd::abs_path('t/middleware'), handle_ranges => 0; hello_app() };
my $result = drive($static, http_scope(path => '/xsendfile.t', add_headers => [ [ range => 'bytes=0-3' ] ]));
is([ $result->status, $result->header('X-Sendfile'), $result->phase ], [ 200, $file, 'done' ], 'around Static');

like(dies { $X->new }, qr/XSendfile middleware requires 'type' parameter/, 'type required');
like(dies { $X->new(type => 'X-Bogus') }, qr/Invalid XSendfile type 'X-Bogus'\. Must be one of: X-Accel-Redirect, X-Lighttpd-Send-File, X-Sendfile/, 'type checked');

done_testing;
