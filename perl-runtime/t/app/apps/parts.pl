use strict;
use warnings;
use Future;
use Future::AsyncAwait;
use PAGI::App::Cascade;
use PAGI::App::Delayed;
use PAGI::App::Healthcheck;
use PAGI::App::NotFound;
use PAGI::App::Redirect;
use PAGI::App::Router;
use PAGI::App::Throttle;
use PAGI::App::URLMap;
use PAGI::Middleware::RequestId;

# What t/app/backends.t asks for: the small applications, put together.

sub saying {
    my ($text, $status) = @_;
    return async sub {
        my ($scope, $receive, $send) = @_;
        my $body = ref $text ? $text->($scope) : $text;
        if ($scope->{type} eq 'websocket') {
            await $send->({ type => 'websocket.accept' });
            await $send->({ type => 'websocket.send', text => $body });
            return await $send->({ type => 'websocket.close', code => 4000 });
        }
        if ($scope->{type} eq 'sse') {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => $body });
            return await $send->({ type => 'sse.close' });
        }
        my $event = await $receive->();
        await $send->({ type => 'http.response.start', status => $status || 200, headers => [ [ 'content-type', 'text/plain' ] ] });
        await $send->({ type => 'http.response.body', body => defined $event->{body} && length $event->{body} ? "$body $event->{body}" : $body });
    };
}
my $where  = saying(sub { join '|', $_[0]{root_path}, $_[0]{path} });
my $params = saying(sub { my $p = $_[0]{path_params}; join ' ', map { "$_=$p->{$_}" } sort keys %$p });

my $mark = sub {
    my ($app) = @_;
    return async sub {
        my ($scope, $receive, $send) = @_;
        my $out = sub { my ($event) = @_; return $send->($event->{type} eq 'http.response.start' ? { %$event, headers => [ @{ $event->{headers} }, [ 'x-mark', 1 ] ] } : $event) };
        await $app->($scope, $receive, $out);
    };
};

my $admin = PAGI::App::Router->new->get('/users/:id' => $params)->name('user')->websocket('/live' => $where)->sse('/feed' => $where);
my $router = PAGI::App::Router->new;
$router->get('/' => saying('home'))->post('/' => saying('created', 201))->put('/' => saying('put'));
$router->get('/users/:id' => $params)->constraints(id => qr/\d+/)->get('/users/:name' => $params)->get('/files/*path' => $params)->get('/year/{y:\d{4}}' => $params);
$router->get('/marked' => [ $mark, PAGI::Middleware::RequestId->new(header => 'x-id') ] => saying('marked'));
$router->websocket('/ws/:room' => $params)->sse('/sse/:topic' => $params);
$router->mount('/admin' => [$mark] => $admin)->as('admin');
$router->group('/v1' => [$mark] => sub { my ($r) = @_; $r->get('/a' => saying('v1 a'))->group('/deep' => sub { $_[0]->get('/b' => $where) }) });
$router->get('/uri' => saying(sub { join ' ', $router->uri_for('admin.user', { id => "\x{fc} /" }, { q => 'a b' }) }));

PAGI::App::URLMap->new(default => PAGI::App::NotFound->new(body => sub { "nothing at $_[0]{path}" }))
    ->mount('/router'      => $router)
    ->mount('/where'       => $where)
    ->mount('/where/below' => saying('below'))
    ->mount('/cascade'     => PAGI::App::Cascade->new(apps => [ saying('no', 404), saying('wrong', 405), $where ]))
    ->mount('/redirect'    => PAGI::App::Redirect->new(to => '/new', status => 301))
    ->mount('/health'      => PAGI::App::Healthcheck->new(version => '1.2', checks => { db => sub { Future->done(1) } }))
    ->mount('/sick'        => PAGI::App::Healthcheck->new(checks => { db => sub { die "no disk\n" } }))
    ->mount('/delayed'     => PAGI::App::Delayed->new(app => saying('late'), delay => 0.02))
    ->mount('/throttled'   => PAGI::App::Throttle->new(app => saying('let through'), rate => 0.001, burst => 2))
    ->to_app;
