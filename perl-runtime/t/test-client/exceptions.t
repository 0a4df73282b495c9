use v5.36;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use PAGI::Test::Client;
use PAGI::Test::ConnectionState;

my $start = { type => 'http.response.start', status => 200, headers => [['set-cookie', 'a=b']] };
my $body  = { type => 'http.response.body', body => 'partial', more => 1 };
my $dies  = async sub { die "Something broke\n" };

for my $verb (qw(get head post put patch delete options)) {
    my $r = PAGI::Test::Client->new(app => $dies)->$verb('/');
    is [$r->status, $r->content_type, $r->content, $r->exception], [500, 'text/plain', 'Internal Server Error', "Something broke\n"],
        "$verb: a trapped exception is a 500";
}
is dies { PAGI::Test::Client->new(app => $dies, raise_app_exceptions => 1)->get('/') }, "Something broke\n", 'raised on request';

my $late = async sub ($scope, $receive, $send) { await $send->($start); await $send->($body); die "late\n" };
my $client = PAGI::Test::Client->new(app => $late);
my $r = $client->get('/');
is [$r->status, $r->content, $r->exception], [500, 'Internal Server Error', "late\n"], 'a death after the start is a 500 too';
is $client->cookies, {}, 'whose cookies are not taken';

is(PAGI::Test::Client->new(app => sub { die "plain\n" })->get('/')->exception, "plain\n", 'an app that dies before it returns a Future');
like(PAGI::Test::Client->new(app => sub { 42 })->get('/')->exception, qr/did not return a Future/, 'an app that returns none (APP-9)');
is(PAGI::Test::Client->new(app => sub { Future->new })->get('/')->status, 500, 'an app that waits for nothing there is');

for my $raise (0, 1) {
    my $silent = PAGI::Test::Client->new(app => async sub { }, raise_app_exceptions => $raise);
    is dies { $silent->get('/') }, "App returned without sending response. Did you forget to 'await' your \$send calls? "
        . "See PAGI::Tutorial section on async patterns.\n", "no response at all (raise_app_exceptions $raise)";
}

subtest 'pagi.connection during a request' => sub {
    my ($connection, @log);
    my $app = sub ($finish) {
        return async sub ($scope, $receive, $send) {
            $connection = $scope->{'pagi.connection'};
            $connection->on_complete(sub { push @log, 'complete' });
            $connection->on_disconnect(sub ($reason) { push @log, "disconnect $reason" });
            push @log, [$connection->is_connected, $connection->response_started, $connection->response_complete];
            await $send->($start);
            push @log, [$connection->is_connected, $connection->response_started, $connection->response_complete];
            await $finish->($send);
            push @log, 'returning';
        };
    };
    my $run = sub ($finish) { @log = (); PAGI::Test::Client->new(app => $app->($finish))->get('/'); return \@log };

    is $run->(async sub ($send) { await $send->({ type => 'http.response.body' }) }),
        [[1, 0, 0], [1, 1, 0], 'returning', 'complete'], 'completion comes after the app has returned';
    is [$connection->is_connected, $connection->disconnect_reason, $connection->response_complete], [0, undef, 1], 'a clean end';
    is $run->(async sub ($send) { die "x\n" }), [[1, 0, 0], [1, 1, 0], 'disconnect server_error'], 'an exception is a disconnect';
    is [$connection->is_connected, $connection->response_started, $connection->disconnect_reason], [0, 1, 'server_error'], 'an abnormal end';
    is $run->(async sub ($send) { await $send->($body) }), [[1, 0, 0], [1, 1, 0], 'returning', 'disconnect server_error'],
        'so is a response left unfinished (RESP-8)';

    PAGI::Test::Client->new(app => async sub ($scope, @) { $connection = $scope->{'pagi.connection'}; die })->get('/');
    is $connection->response_started, 1, 'the 500 counts as a response (CONN-11)';
};

subtest 'connection state' => sub {
    my @log;
    my $warnings = warnings {
        my $c = PAGI::Test::ConnectionState->new;
        is [$c->is_connected, $c->response_started, $c->disconnect_reason, $c->disconnect_future], [1, 0, undef, undef], 'at first';
        $c->_mark_response_started;
        is [$c->is_connected, $c->response_started], [1, 1], 'started';
        $c->on_complete(sub { die "oops\n" });
        $c->on_complete(sub { push @log, "complete(@_)" });
        $c->on_disconnect(sub { push @log, 'never' });
        $c->_mark_complete;
        $c->_mark_disconnected('late');
        is [\@log, $c->is_connected, $c->disconnect_reason], [['complete()'], 0, undef], 'the first end wins';
        $c->on_complete(sub { push @log, 'at once' });
        $c->on_disconnect(sub { push @log, 'never' });
        is \@log, ['complete()', 'at once'], 'late registration after a clean end';
    };
    is $warnings, ["pagi.connection callback error: oops\n"], 'a dying callback warns and does not stop the others';

    @log = ();
    my $c = PAGI::Test::ConnectionState->new;
    $c->on_disconnect(sub ($reason) { push @log, $reason });
    $c->on_complete(sub { push @log, 'never' });
    $c->_mark_disconnected('client_closed');
    $c->_mark_complete;
    $c->_mark_disconnected('again');
    $c->on_disconnect(sub ($reason) { push @log, "late $reason" });
    $c->on_complete(sub { push @log, 'never' });
    is [\@log, $c->is_connected, $c->disconnect_reason], [['client_closed', 'late client_closed'], 0, 'client_closed'], 'an abnormal end';
    my $other = PAGI::Test::ConnectionState->new;
    $other->_mark_disconnected;
    is $other->disconnect_reason, 'unknown', 'the default reason';
};

done_testing;
