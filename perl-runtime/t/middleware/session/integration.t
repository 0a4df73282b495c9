use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use File::Temp qw(tempdir);
use Future;
use Future::AsyncAwait;
use PAGI::Middleware::Builder;
use PAGI::Middleware::Session;
use PAGI::Middleware::Session::State::Header;
use PAGI::Middleware::Session::Store::Cookie;
use PAGI::Middleware::Session::Store::File;
use PAGI::Middleware::Session::Store::Memory;
use PAGI::Session;

my $M = 'PAGI::Middleware::Session';
my $Memory = 'PAGI::Middleware::Session::Store::Memory';

# What the stores below keep and show.
my (%kept, @log, $gate);

# One request: the code gets the scope. Returns the result, the cookie value and scope.
sub visit ($mw, $id, $code = sub { }, %over) {
    my $scope;
    my $app = $mw->wrap(async sub ($got, $receive, $send) {
        $scope = $got;
        $code->($got);
        await hello_app()->($got, $receive, $send);
    });
    my $cookie = defined $id ? [ [ cookie => "pagi_session=$id" ] ] : [];
    my $result = drive($app, http_scope(add_headers => $cookie, %over), slow => 1);
    my ($value) = ($result->header('Set-Cookie') // '') =~ /\Apagi_session=([^;]*)/;
    return ($result, $value, $scope);
}

subtest 'new and restored' => sub {
    $Memory->clear_all;
    my $mw = $M->new(secret => 's');
    my ($result, $id, $scope) = visit($mw, undef, sub ($s) { $s->{'pagi.session'}{user} = 'jane' });
    like($id, qr/\A[0-9a-f]{64}\z/, '64 hex digits');
    is($result->header('Set-Cookie'), "pagi_session=$id; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600", 'cookie');
    is($scope->{'pagi.session_id'}, $id, 'session_id');
    is($scope->{'pagi.session'}, { _id => $id, _created => T(), _last_access => T(), user => 'jane' }, 'reserved keys');

    ($result, my $again, $scope) = visit($mw, $id);
    is([ $scope->{'pagi.session'}{user}, $again ], [ 'jane', undef ], 'restored; reading sends no cookie');

    my (undef, $other) = visit($mw, undef);
    isnt($other, $id, 'another visitor, another session');
    $M->clear_sessions;
    (undef, my $fresh) = visit($mw, $id);
    isnt($fresh, $id, 'clear_sessions; and the id is not taken up again');
    like(dies { $M->new }, qr/Session middleware requires 'secret' option/, 'secret required');
    is((visit($M->new(secret => 's', cookie_options => { samesite => 'Strict' }, expire => 5), undef))[0]->header('Set-Cookie') =~ s/=[0-9a-f]{64}/=ID/r,
        'pagi_session=ID; Path=/; SameSite=Strict; Max-Age=5', 'own cookie options replace all');
    like((visit($mw, undef, sub { }, scheme => 'https'))[0]->header('Set-Cookie'), qr/; Secure;/, 'Secure over https');
};

subtest 'fixation' => sub {
    $Memory->clear_all;
    my $mw = $M->new(secret => 's');
    my $planted = 'a' x 64;
    my (undef, $id, $scope) = visit($mw, $planted);
    isnt($id, $planted, 'an id from outside is never adopted');
    is($Memory->new->get($planted)->get, undef, 'nor stored');

    my (undef, $anonymous) = visit($mw, undef, sub ($s) { $s->{'pagi.session'}{cart} = [1] });
    my ($result, $user, $at_login) = visit($mw, $anonymous, sub ($s) {
        my $session = PAGI::Session->new($s);
        $session->regenerate;
        $session->set(user => 'jane');
    });
    isnt($user, $anonymous, 'regenerate: a new id');
    is(scalar($result->header_all('Set-Cookie')), 1, 'exactly one cookie, also with a change');
    is($at_login->{'pagi.session_id'}, $anonymous, 'the scope keeps the old id');
    is($Memory->new->get($anonymous)->get, undef, 'the old one is gone');
    (undef, undef, $scope) = visit($mw, $user);
    is($scope->{'pagi.session'}, hash { field cart => [1]; field user => 'jane'; field _id => $user; field _created => T(); field _last_access => T(); end }, 'data kept, flag removed');
    (undef, my $victim, $scope) = visit($mw, $anonymous);
    ok(!exists $scope->{'pagi.session'}{user}, 'who knows the old id has nothing');
};

subtest 'changes' => sub {
    $Memory->clear_all;
    my $mw = $M->new(secret => 's');
    my (undef, $id) = visit($mw, undef);
    is((visit($mw, $id, sub ($s) { PAGI::Session->new($s)->set(n => 1) }))[1], $id, 'set re-issues the cookie');
    is((visit($mw, $id, sub ($s) { PAGI::Session->new($s)->data->{deep}{er} = 2 }))[1], $id, 'so does a change in the data');
    my ($result, $none, $scope) = visit($mw, $id, sub ($s) { my $n = PAGI::Session->new($s)->get('n') });
    is([ $none, $scope->{'pagi.session'}{n}, $scope->{'pagi.session'}{deep} ], [ undef, 1, { er => 2 } ], 'reading does not; all came back');
};

# What reading costs: a store that counts.
package CountingStore {
    sub new ($class) { return bless { kept => {}, saved => 0 }, $class }
    sub get ($self, $id) { return defined $self->{kept}{$id} ? { %{ $self->{kept}{$id} } } : undef }
    sub set ($self, $id, $data) { $self->{saved}++; $self->{kept}{$id} = {%$data}; return $id }
    sub delete ($self, $id) { delete $self->{kept}{$id}; return 1 }
}

subtest 'saving' => sub {
    my $store = CountingStore->new;
    my $mw = $M->new(secret => 's', expire => 600, store => $store);
    my $id = (visit($mw, undef))[1];
    is($store->{saved}, 1, 'a new session is saved');
    visit($mw, $id) for 1 .. 5;
    is($store->{saved}, 1, 'reading saves nothing');
    visit($mw, $id, sub ($s) { $s->{'pagi.session'}{n} = 1 });
    is($store->{saved}, 2, 'a change does');
    $store->{kept}{$id}{_last_access} -= 11;
    is((visit($mw, $id))[1], undef, 'after a sixtieth of its life reading saves it, without a cookie');
    is([ $store->{saved}, $store->{kept}{$id}{_last_access} >= time - 5 ], [ 3, T() ], 'so it does not expire');

    my $blobs = PAGI::Middleware::Session::Store::Cookie->new(secret => 'k');
    my $in_cookie = $M->new(secret => 's', expire => 600, store => $blobs);
    my $blob = (visit($in_cookie, undef, sub ($s) { $s->{'pagi.session'}{user} = 'jane' }))[1];
    is((visit($in_cookie, $blob))[1], undef, 'a session inside the cookie: the same');
    my $aged = $blobs->get($blob)->get;
    $aged->{_last_access} -= 11;
    my $slid = (visit($in_cookie, $blobs->set(x => $aged)->get))[1];
    is($blobs->get($slid)->get->{user}, 'jane', 'but it is sent again when it must slide');
};

subtest 'destroy' => sub {
    $Memory->clear_all;
    my $mw = $M->new(secret => 's');
    my (undef, $id) = visit($mw, undef);
    my ($result) = visit($mw, $id, sub ($s) { my $session = PAGI::Session->new($s); $session->regenerate; $session->destroy });
    is([ $result->header_all('Set-Cookie') ], ['pagi_session=; Path=/; Max-Age=0; HttpOnly'], 'cleared; wins over regenerate');
    is($Memory->new->get($id)->get, undef, 'deleted');
};

subtest 'expiry' => sub {
    $Memory->clear_all;
    my $mw = $M->new(secret => 's', expire => 100);
    my $store = $Memory->new;
    my $plant = sub ($id, %keys) { $store->set($id => { _id => $id, user => 'x', %keys })->get; return $id };
    my $fresh = $plant->('fresh', _created => 0, _last_access => time - 90);
    my $stale = $plant->('stale', _created => time, _last_access => time - 110);
    my $never = $plant->('never');
    is((visit($mw, $fresh))[2]{'pagi.session'}{user}, 'x', 'within the time');
    my (undef, $new, $scope) = visit($mw, $stale);
    isnt($new, undef, 'expired: a new cookie');
    is($scope->{'pagi.session'}{user}, undef, 'and nothing of the old');
    ok(defined $store->get('stale')->get, 'the record stays in the store');
    is((visit($mw, $never))[2]{'pagi.session'}{user}, undef, 'no times at all: expired');
    is((visit($mw, $plant->('made', _created => time - 50)))[2]{'pagi.session'}{user}, 'x', '_created counts when there is no _last_access');
    ok($store->get('fresh')->get->{_last_access} >= time - 2, 'a visit renews it');
};

subtest 'layers, states, stores' => sub {
    $Memory->clear_all;
    my ($outer_data, $inner_data);
    my $app = builder {
        enable 'Session', secret => 'outer';
        enable 'Session', secret => 'inner', cookie_name => 'second';
        sub ($scope, @rest) { $inner_data = $scope->{'pagi.session'}; hello_app()->($scope, @rest) };
    };
    my $result = drive($app, http_scope());
    is([ map { /\A(\w+)=/ } $result->header_all('Set-Cookie') ], ['pagi_session'], 'the inner layer steps aside');
    my $given = {};
    drive($app, http_scope('pagi.session' => $given));
    ref_is($inner_data, $given, 'a session already there is passed on');
    {
        local $ENV{PAGI_DEBUG} = 1;
        like(warning { drive($app, http_scope()) }, qr/Session middleware: pagi\.session already in scope, skipping/, 'PAGI_DEBUG says so');
    }

    my $by_header = $M->new(secret => 's', store => $Memory->new, state => PAGI::Middleware::Session::State::Header->new(header_name => 'X-Session'));
    my ($first, undef, $scope) = visit($by_header, undef, sub ($s) { $s->{'pagi.session'}{n} = 1 });
    is($first->header('Set-Cookie'), undef, 'header state sets no cookie');
    (undef, undef, my $second) = visit($by_header, undef, sub { }, add_headers => [ [ 'x-session', $scope->{'pagi.session_id'} ] ]);
    is($second->{'pagi.session'}{n}, 1, 'but finds the session');

    { package Sync::Store; sub new ($class) { bless {}, $class } sub get ($self, $id) { $kept{$id} } sub set ($self, $id, $data) { $kept{$id} = {%$data}; $id } sub delete ($self, $id) { delete $kept{$id} } }
    my $sync = $M->new(secret => 's', store => Sync::Store->new);
    my (undef, $id) = visit($sync, undef, sub ($s) { $s->{'pagi.session'}{n} = 2 });
    is((visit($sync, $id))[2]{'pagi.session'}{n}, 2, 'a store without Futures');

    { package Slow::Store; our @ISA = 'PAGI::Middleware::Session::Store::Memory'; sub set ($self, $id, $data) { push @log, 'set'; $gate = Future->new; my $done = $self->SUPER::set($id, $data); return $gate->then(sub { $done }) } }
    my $slow = $M->new(secret => 's', store => Slow::Store->new);
    my $waiting = drive($slow->wrap(hello_app()), http_scope());
    is([ \@log, [ $waiting->events ] ], [ ['set'], [] ], 'the start waits for the store');
    $gate->done;
    is($waiting->body, 'Hello, World!', 'and then goes out');

    my $file = $M->new(secret => 's', store => PAGI::Middleware::Session::Store::File->new(dir => tempdir(CLEANUP => 1)));
    (undef, $id) = visit($file, undef, sub ($s) { $s->{'pagi.session'}{n} = 3 });
    is((visit($file, $id))[2]{'pagi.session'}{n}, 3, 'file store');

    my $cookie = $M->new(secret => 's', store => PAGI::Middleware::Session::Store::Cookie->new(secret => 'k'));
    (undef, my $blob, $scope) = visit($cookie, undef, sub ($s) { $s->{'pagi.session'}{n} = 4 });
    isnt($blob, $scope->{'pagi.session_id'}, 'cookie store: the cookie is the session');
    (undef, my $same, my $back) = visit($cookie, $blob);
    is([ $back->{'pagi.session'}{n}, $back->{'pagi.session_id'}, $same ], [ 4, $scope->{'pagi.session_id'}, undef ], 'which comes back');
    like((visit($cookie, $blob, sub ($s) { $s->{'pagi.session'}{n} = 'x' x 9000 }))[0]->error, qr/too large for a cookie/, 'and says when it is too large');
};

subtest 'failures' => sub {
    $Memory->clear_all;
    my $mw = $M->new(secret => 's');
    my ($result) = visit($mw, undef, sub { die "boom\n" });
    is([ $result->error, [ $result->events ] ], [ "boom\n", [] ], 'an application that dies');
    my (undef, $id) = visit($mw, undef);
    (my $bad) = visit($mw, $id, sub ($s) { $s->{'pagi.session'}{code} = sub { } });
    ok(defined $bad->error, 'what JSON cannot hold fails the request');
};

subtest 'read-only scopes' => sub {
    $Memory->clear_all;
    my $mw = $M->new(secret => 's', expire => 100);
    my (undef, $id) = visit($mw, undef, sub ($s) { $s->{'pagi.session'}{list} = [1] });
    my $record = $Memory->new->get($id)->get;
    $record->{_last_access} = time - 50;

    for my $type (qw(websocket sse)) {
        my $make = $type eq 'websocket' ? \&ws_scope : \&sse_scope;
        my $scope;
        my $inner = async sub ($got, $receive, $send) { $scope = $got; $got->{'pagi.session'}{new} = 1; push @{ $got->{'pagi.session'}{list} }, 2; await $send->({ type => $type eq 'sse' ? 'sse.start' : 'websocket.accept' }) };
        my $result = drive($mw->wrap($inner), $make->(add_headers => [ [ cookie => "pagi_session=$id" ] ]));
        is([ $scope->{'pagi.session_id'}, $scope->{'pagi.session'}{list} ], [ $id, [ 1, 2 ] ], "$type sees session and id");
        is([ $record->{new}, $record->{list} ], [ undef, [1] ], 'what it changes does not reach the store');
        is([ $result->headers ], [], 'nothing is injected');
        ok($record->{_last_access} <= time - 50, 'nor is the session renewed');

        my %case = (missing => [], garbage => [ [ cookie => 'pagi_session=nonsense' ] ]);
        for my $name (sort keys %case) {
            drive($mw->wrap($inner), $make->(add_headers => $case{$name}));
            is([ exists $scope->{'pagi.session_id'}, ref $scope->{'pagi.session'} ], [ !!0, 'HASH' ], "$type, $name: empty session, no id");
        }
        local $record->{_last_access} = time - 500;
        drive($mw->wrap(sub ($got, @) { $scope = $got; Future->done }), $make->(add_headers => [ [ cookie => "pagi_session=$id" ] ]));
        is([ exists $scope->{'pagi.session_id'}, $scope->{'pagi.session'} ], [ !!0, {} ], "$type, expired: the same");
    }
    my $scope = { type => 'lifespan', state => {} };
    my $got;
    $mw->wrap(sub ($in, @) { $got = $in; Future->done })->($scope, sub { }, sub { })->get;
    ref_is($got, $scope, 'lifespan untouched');
};

done_testing;
