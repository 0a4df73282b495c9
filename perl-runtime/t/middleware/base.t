use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future;
use Future::AsyncAwait;
use PAGI::Middleware;
use PAGI::Middleware::Builder;

package Test::Header { use parent -norequire, 'PAGI::Middleware';
    use Future::AsyncAwait;
    sub wrap ($self, $app) {
        return async sub ($scope, $receive, $send) {
            my $inner = $self->modify_scope($scope, { 'test.seen' => 1 });
            my $out = $self->intercept_send($send, async sub ($event, $next) {
                $event = { %$event, headers => [ @{ $event->{headers} || [] }, [ 'x-test', $self->{config}{value} ] ] }
                    if $event->{type} eq 'http.response.start';
                await $next->($event);
            });
            await $app->($inner, $receive, $out);
        };
    }
}
package Test::Order { use parent -norequire, 'PAGI::Middleware';
    our @LOG;
    sub wrap ($self, $app) {
        my $name = $self->{config}{name};
        return sub ($scope, $receive, $send) {
            push @LOG, "$name in";
            return $app->($scope, $receive, $send)->on_done(sub { push @LOG, "$name out" });
        };
    }
}

subtest 'construction' => sub {
    my $mw = PAGI::Middleware->new(a => 1, b => [2]);
    is($mw->{config}, { a => 1, b => [2] }, 'config is stored');
    like(dies { $mw->wrap(sub { }) }, qr/Subclass must implement wrap\(\)/, 'base wrap dies');
    my $init;
    { no warnings 'once'; *Test::Init::_init = sub { $init = $_[1] }; @Test::Init::ISA = 'PAGI::Middleware' }
    my $object = Test::Init->new(x => 1);
    ref_is($init, $object->{config}, '_init gets the very hash');
};

subtest 'modify_scope copies' => sub {
    my $mw = PAGI::Middleware->new;
    my $nested = {};
    my $scope = { type => 'http', nested => $nested };
    my $copy = $mw->modify_scope($scope, { added => 1 });
    is($scope, { type => 'http', nested => {} }, 'the original is untouched');
    is($copy->{added}, 1, 'the addition is there');
    ref_is($copy->{nested}, $nested, 'nested references are shared');
    is($mw->modify_scope($scope), $scope, 'additions are optional');
};

subtest 'intercept_send and a subclass' => sub {
    my $seen;
    my $app = Test::Header->new(value => 'v')->wrap(sub ($scope, @rest) {
        $seen = $scope->{'test.seen'};
        hello_app()->($scope, @rest);
    });
    my $scope = http_scope();
    my $result = drive($app, $scope, slow => 1);
    is($result->header('x-test'), 'v', 'event changed on its way');
    is($result->body, 'Hello, World!', 'the others pass');
    is($result->types, [qw(http.response.start http.response.body)], 'order kept');
    is($seen, 1, 'scope key visible inside');
    ok(!exists $scope->{'test.seen'}, 'and not outside');
};

subtest 'buffer_request_body' => sub {
    my $mw = PAGI::Middleware->new;
    my @events = (
        { type => 'http.request', body => 'one ', more => 1 },
        { type => 'other', body => 'skipped' },
        { type => 'http.request', more => 1 },
        { type => 'http.request', body => 'two', more => 0, last => 1 },
    );
    my ($body, $last) = $mw->buffer_request_body(sub { Future->done(shift @events) })->get;
    is($body, 'one two', 'chunks joined');
    is($last->{last}, 1, 'last event returned');

    @events = ({ type => 'http.request', body => 'half', more => 1 }, { type => 'http.disconnect' });
    ($body, $last) = $mw->buffer_request_body(sub { Future->done(shift @events) })->get;
    is([ $body, $last->{type} ], [ 'half', 'http.disconnect' ], 'a disconnect ends it');
};

subtest 'builder order' => sub {
    @Test::Order::LOG = ();
    my $app = builder {
        enable '^Test::Order', name => 'A';
        enable '^Test::Order', name => 'B';
        enable '^Test::Order', name => 'C';
        hello_app();
    };
    drive($app, http_scope());
    is(\@Test::Order::LOG, [ 'A in', 'B in', 'C in', 'C out', 'B out', 'A out' ], 'an onion');
};

subtest 'conditions' => sub {
    my $built = 0;
    { no warnings 'once'; *Test::Counted::_init = sub { $built++ }; @Test::Counted::ISA = 'Test::Header' }
    my $app = builder {
        enable_if { ($_[0]{path} // '') =~ m{^/yes} } '^Test::Counted', value => 'on';
        hello_app();
    };
    is($built, 1, 'the class form is built with the application');
    is(drive($app, http_scope(path => '/yes'))->header('x-test'), 'on', 'true: applied');
    is(drive($app, http_scope(path => '/yes'))->header('x-test'), 'on', 'again');
    is(drive($app, http_scope(path => '/no'))->header('x-test'), undef, 'false: skipped');
    is($built, 1, 'and never again');

    like(dies { builder { enable_if { 1 } 'Auth::Basic'; hello_app() } }, qr/requires 'authenticator'/,
        'wrong options surface when the application is built');

    my @types;
    my $watching = builder { enable_if { push @types, $_[0]{type}; 0 } '^Test::Counted'; sub { Future->done } };
    drive($watching, $_) for http_scope(), ws_scope(), sse_scope(), { type => 'lifespan' };
    is(\@types, [qw(http websocket sse lifespan)], 'conditions see every scope type');
};

subtest 'mounts' => sub {
    my $show = sub ($name) {
        return sub ($scope, $receive, $send) {
            return respond_app(200, [], join '|', $name, $scope->{path}, $scope->{root_path} // '')
                ->($scope, $receive, $send);
        };
    };
    my $app = builder {
        mount '/api'    => $show->('api');
        mount 'api/v2/' => $show->('v2');
        $show->('inner');
    };
    my sub at ($path, %over) { return drive($app, http_scope(path => $path, %over))->body }
    is(at('/api/users'), 'api|/users|/api', 'rest and root_path');
    is(at('/api'), 'api|/|/api', 'exact prefix is /');
    is(at('/api/'), 'api|/|/api', 'with a slash too');
    is(at('/api/v2/x'), 'v2|/x|/api/v2', 'the longest wins, the path is normalised');
    is(at('/apiary'), 'inner|/apiary|', 'whole segments only');
    is(at('/other'), 'inner|/other|', 'no match');
    is(at('/api/x', root_path => '/base'), 'api|/x|/base/api', 'root_path grows');
    my $scope = http_scope(path => '/api/x');
    drive($app, $scope);
    is($scope->{path}, '/api/x', 'the scope itself is not changed');

    my $root = builder { mount '/' => $show->('root'); $show->('inner') };
    is(drive($root, http_scope(path => '/a/b'))->body, 'root|/a/b|', 'mount / takes everything');
    is(drive($root, http_scope(path => '/'))->body, 'root|/|', 'and /');

    my $reached;
    my $life = builder { mount '/' => $show->('root'); sub ($scope, @) { $reached = $scope->{type}; Future->done } };
    is(warns { drive($life, { type => 'lifespan' }) }, 0, 'no warning for a scope without path');
    is($reached, 'lifespan', 'which goes to the inner application');

    my @seen;
    my $around = builder {
        mount '/m' => $show->('m');
        enable '^Test::Header', value => 'outer';
        $show->('inner');
    };
    is(drive($around, http_scope(path => '/m/x'))->header('x-test'), 'outer', 'middleware wraps mounts above it');

    my $nested = builder { mount '/a' => builder { mount '/b' => $show->('b'); $show->('a') }; $show->('top') };
    is(drive($nested, http_scope(path => '/a/b/c'))->body, 'b|/c|/a/b', 'builders nest');
    is(drive($nested, http_scope(path => '/a/c'))->body, 'a|/c|/a', 'with their own mounts');
};

subtest 'outside a block' => sub {
    like(dies { enable('GZip') }, qr/enable\(\) must be called inside builder \{\}/, 'enable');
    like(dies { enable_if { 1 } 'GZip' }, qr/enable_if\(\) must be called inside builder \{\}/, 'enable_if');
    like(dies { mount('/x', sub { }) }, qr/mount\(\) must be called inside builder \{\}/, 'mount');
    eval { builder { die "in block\n" } };
    like(dies { enable('GZip') }, qr/inside builder/, 'also after a block that died');
};

done_testing;
