use v5.36;
use lib 't/simple/lib';
use Future::AsyncAwait;
use PAGI::Simple;

# What t/simple/services.t asks for: services of each scope, in requests and on connections.
package SimpleServices::Service::Deep::Mail { use parent 'PAGI::Simple::Service::Factory'; sub to ($self) { $self->{to} . $self->{from} } }

my $app = PAGI::Simple->new(name => 'x', namespace => 'SimpleServices', quiet => 1,
    service_config => { Counter => { start => 10 }, 'Deep::Mail' => { from => '<me' } });
$app->get('/next' => sub ($c) { $c->text($c->service('Counter')->next) });
$app->get('/visitor' => async sub ($c) {
    my ($one, $two) = map { $c->service('Visitor') } 1, 2;
    await $c->json([ await($one->name), $one == $two ? 1 : 0, $one->app == $c->app ? 1 : 0 ]);
});
$app->get('/mail' => sub ($c) { $c->text($c->service('Deep::Mail', to => 'ann')->to) });
$app->get('/unknown' => sub ($c) { my $error = eval { $c->service('Nope') } // $@; $c->text($error) });
$app->get('/registry' => sub ($c) { $c->json([ sort keys %{ $c->app->service_registry } ]) });
$app->get('/ended' => sub ($c) { $c->json([ splice @SimpleServices::Service::Visitor::ENDED ]) });
$app->websocket('/ws' => sub ($ws) { $ws->send($ws->service('Counter')->next) });
$app->sse('/sse' => async sub ($sse) { await $sse->send(await $sse->service('Visitor')->name) });
$app->to_app;
