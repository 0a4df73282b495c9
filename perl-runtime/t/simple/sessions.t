use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Temp qw(tempdir);
use Future::IO::Impl::IOAsync;
use PAGI::Simple;
use PAGITest::Backends qw(each_backend);

# $c->session with each store; those that all workers share with four of them.

my $TEXT = 'caf%C3%A9';

sub sessions ($store, $workers, $more = sub { }) {
    subtest "$store, $workers workers" => sub {
        my $directory = tempdir(CLEANUP => 1);
        each_backend('t/simple/apps/sessions.pl', sub ($client, $backend) {
            my $get = sub ($path) { $client->get($path)->text };
            is $get->('/get'), 'none', 'nothing at first';
            $get->('/set/one');
            my $cookie = $client->cookie('sid');
            ok length $cookie, 'a cookie of the chosen name';
            is [ map { $get->('/get') } 1 .. 8 ], [ ('one') x 8 ], 'kept';
            is $client->get('/get')->header('set-cookie'), undef, 'reading sets no cookie';
            like $client->get('/set/two')->header('set-cookie'), qr/\Asid=[^;]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=600\z/, 'changing does, as configured';
            $get->('/data');
            is $get->('/read'), 'direct=1,value=two', 'data is the session itself';
            is [ $get->('/delete'), $get->('/read') ], [ 0, 'direct=1' ], 'delete';
            like $get->('/missing'), qr/\ASession key 'nothing' does not exist\. Available keys: direct/, 'a key that is not there';
            $get->('/clear');
            is $get->('/read'), '', 'clear';
            $get->("/set/three");
            my $ws = $client->websocket('/ws');
            isnt $ws->receive_text(20), 'no id', 'a WebSocket has it';
            $ws->close;
            is $get->('/get'), 'three', 'and cannot change it';

            my $old = $client->cookie('sid');
            $get->('/regenerate');
            isnt $client->cookie('sid'), $old, 'regenerate: another cookie in the same response';
            is $get->('/get'), 'three', 'the same data';
            my $new = $client->cookie('sid');
            if ($store ne 'cookie') {
                $client->set_cookie(sid => $old);
                is $get->('/get'), 'none', 'the old id is nothing any more';
                $client->set_cookie(sid => $new);
            }
            like $client->get('/destroy')->header('set-cookie'), qr/\Asid=; Path=\/; Max-Age=0/, 'destroy: gone in the same response';
            if ($store ne 'cookie') {
                $client->set_cookie(sid => $new);
                is $get->('/get'), 'none', 'and in the store';
            }
            $client->set_cookie(sid => 'f' x 64);
            $get->('/set/x');
            isnt $client->cookie('sid'), 'f' x 64, 'an id is never taken from a client';
            $more->($client);
        }, server_args => [ '--workers', $workers ], env => { SESSION_STORE => $store, SESSION_DIR => $directory });
    };
    return;
}

sessions default => 4, sub ($client) {
    my $r = $client->get('/header/get');
    is $r->header('set-cookie'), undef, 'a session by header sets no cookie';
    is $client->get('/header/get', headers => { 'X-Session' => $r->text })->text, $r->text, 'and is found by it';
};
sessions memory => 1;
sessions cookie => 4;
sessions file   => 4;
sessions late   => 1;

like dies { PAGI::Simple->new(name => 'x', session => {})->to_app }, qr/Session middleware requires 'secret' option/, 'a secret is required';

done_testing;
