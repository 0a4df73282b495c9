use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use PAGI::Middleware::Builder;

package Inline::Mark {
    sub new ($class, %config) { return bless {%config}, $class }
    sub wrap ($self, $app) {
        return sub ($scope, $receive, $send) {
            return $app->({ %$scope, mark => $self->{mark} // 'none' }, $receive, $send);
        };
    }
}
package Inline::Component {
    sub new ($class, %config) { return bless {%config}, $class }
    sub to_app ($self) { return main::respond_app(200, [], $self->{body}) }
}

my $builder = PAGI::Middleware::Builder->new;
my %class = (
    GZip                   => 'PAGI::Middleware::GZip',
    'Auth::Basic'          => 'PAGI::Middleware::Auth::Basic',
    'Session::Store::File' => 'PAGI::Middleware::Session::Store::File',
    '^My::Thing'           => 'My::Thing',
    '^Top'                 => 'Top',
);
is($builder->_resolve_middleware($_), $class{$_}, "$_ is $class{$_}") for sort keys %class;

my $marked = sub ($scope, $receive, $send) { return respond_app(200, [], $scope->{mark} // '-')->($scope, $receive, $send) };

subtest 'nested classes load' => sub {
    my $app = builder { enable 'Auth::Basic', authenticator => sub { 0 }; hello_app() };
    is(drive($app, http_scope())->status, 401, 'Auth::Basic works by name');
};

subtest 'instances' => sub {
    my $mark = Inline::Mark->new(mark => 'object');
    my $app = builder { enable($mark); $marked };
    is(drive($app, http_scope())->body, 'object', 'enable($object)');

    $app = builder { enable_if { 1 } ($mark); $marked };
    is(drive($app, http_scope())->body, 'object', 'enable_if true');
    $app = builder { enable_if { 0 } ($mark); $marked };
    is(drive($app, http_scope())->body, '-', 'enable_if false');

    like(dies { builder { enable($mark, a => 1); $marked } },
        qr/^enable\(\) with a middleware instance takes no config \(configure it at construction time\)/, 'no config');
    like(dies { builder { enable_if { 1 } ($mark, a => 1); $marked } },
        qr/^enable_if\(\) with a middleware instance takes no config/, 'nor with enable_if');
    like(dies { builder { enable(Inline::Component->new); $marked } },
        qr/Inline::Component does not look like middleware \(no wrap method\)/, 'needs wrap');
};

subtest 'inline and missing classes' => sub {
    my $app = builder { enable '^Inline::Mark', mark => 'inline'; $marked };
    is(drive($app, http_scope())->body, 'inline', 'a package of the program');
    ok(lives { PAGI::Middleware::Builder->new->add_middleware('No::Such') }, 'a missing class is not fatal when added');
    like(dies { builder { enable 'No::Such'; $marked } },
        qr/Can't locate object method "new" via package "PAGI::Middleware::No::Such"/, 'but in to_app');
    like(dies { builder { enable '^Broken::Middleware'; $marked } },
        qr/Could not load Broken::Middleware: .*(?:syntax error|Missing right curly)/s, 'a broken file says why');
    local $ENV{PAGI_DEBUG} = 1;
    like(warning { PAGI::Middleware::Builder->new->add_middleware('No::Other') },
        qr/Warning: Could not load PAGI::Middleware::No::Other: /, 'PAGI_DEBUG warns');
    local $@ = 'kept';
    is($@, 'kept', 'loading leaves $@ alone') if PAGI::Middleware::Builder->new->add_middleware('GZip');
};

subtest 'coercion' => sub {
    my $app = builder {
        mount '/c' => Inline::Component->new(body => 'mounted');
        Inline::Component->new(body => 'inner');
    };
    is(drive($app, http_scope(path => '/c'))->body, 'mounted', 'mount target');
    is(drive($app, http_scope(path => '/'))->body, 'inner', 'inner application');
    like(dies { builder { enable 'GZip'; undef } }, qr/to_app\(\) requires an app, component, or class name/, 'none');
    like(dies { builder { mount '/x' => {}; hello_app() } }, qr/Cannot coerce HASH reference/, 'not an application');
};

subtest 'the object interface' => sub {
    my $builder = PAGI::Middleware::Builder->new;
    ref_is($builder->add_middleware('^Inline::Mark', mark => 'm'), $builder, 'add_middleware chains');
    ref_is($builder->add_middleware_if(sub { 0 }, '^Inline::Mark', mark => 'never'), $builder, 'add_middleware_if chains');
    ref_is($builder->add_mount('/x', Inline::Component->new(body => 'x')), $builder, 'add_mount chains');
    my $app = $builder->to_app($marked);
    is(drive($app, http_scope())->body, 'm', 'middleware');
    is(drive($app, http_scope(path => '/x'))->body, 'x', 'mount');
    is(drive($builder->to_app(Inline::Component->new(body => 'second')), http_scope())->body, 'second', 'to_app again');

    my $short = PAGI::Middleware::Builder->new
        ->enable('^Inline::Mark', mark => 'short')
        ->enable_if(sub { $_[0]{path} eq '/if' }, '^Inline::Mark', mark => 'if')
        ->mount('/y', Inline::Component->new(body => 'y'))
        ->to_app($marked);
    is(drive($short, http_scope())->body, 'short', '->enable');
    is(drive($short, http_scope(path => '/if'))->body, 'if', '->enable_if');
    is(drive($short, http_scope(path => '/y'))->body, 'y', '->mount');
};

done_testing;
