use v5.36;
use lib 't/simple/lib';
use Test2::V0;
use Future::AsyncAwait;
use PAGI::Simple;
use PAGI::Test::Client;

# Services: discovery, scopes, without a lifespan, on connections.

package SimpleServices::Service::Deep::Mail { use parent 'PAGI::Simple::Service::Factory'; sub to ($self) { $self->{to} . $self->{from} } }

sub app () {
    my $app = PAGI::Simple->new(name => 'x', namespace => 'SimpleServices', quiet => 1,
        service_config => { Counter => { start => 10 }, 'Deep::Mail' => { from => '<me' } });
    $app->get('/next' => sub ($c) { $c->text($c->service('Counter')->next) });
    $app->get('/visitor' => async sub ($c) {
        my ($one, $two) = map { $c->service('Visitor') } 1, 2;
        await $c->json([ await($one->name), $one == $two ? 1 : 0, $one->app == $c->app ? 1 : 0 ]);
    });
    $app->get('/mail' => sub ($c) { $c->text($c->service('Deep::Mail', to => 'ann')->to) });
    $app->get('/unknown' => sub ($c) { my $error = eval { $c->service('Nope') } // $@; $c->text($error) });
    $app->websocket('/ws' => sub ($ws) { $ws->send($ws->service('Counter')->next) });
    $app->sse('/sse' => async sub ($sse) { await $sse->send(await $sse->service('Visitor')->name) });
    return $app;
}

my @warnings;
local $SIG{__WARN__} = sub { push @warnings, @_ };
my $app = app();
my $client = PAGI::Test::Client->new(app => $app->to_app);
is [ map { $client->get('/next')->text } 1, 2 ], [ 10, 11 ], 'PerApp: one object, its config, without a lifespan (defect 31)';
is \@warnings, ["PAGI::Simple: the service SimpleServices::Service::Broken is left out: no connection\n"], 'a class that fails is left out';
is $client->get('/visitor?name=ann')->json, [ 'ann', 1, 1 ], 'PerRequest: one per request, with async methods';
is [ splice @SimpleServices::Service::Visitor::ENDED ], ['/visitor'], 'told at the end';
is $client->get('/mail')->text, 'ann<me', 'Factory: arguments and config; a nested, inline class';
like $client->get('/unknown')->text, qr/Unknown service 'Nope'\. Available: Counter, Deep::Mail, Visitor/, 'unknown';
is $client->websocket('/ws')->receive_text, 12, 'on a WebSocket (defect 31)';
my $sse = $client->sse('/sse?name=eve');
is $sse->receive_event->{data}, 'eve', 'on an event stream';
is \@SimpleServices::Service::Visitor::ENDED, [], 'which goes on';
$sse->close;
is \@SimpleServices::Service::Visitor::ENDED, ['/sse'], 'until it ends';
is [ sort keys %{ $app->service_registry } ], [qw(Counter Deep::Mail Visitor)], 'the registry';

my $made = 0;
my $manual = PAGI::Simple->new(name => 'Manual', quiet => 1);
ref_is $manual->add_service(Clock => sub ($app) { $made++; return sub ($c, $args) { "tick $args->{n}" } }), $manual, 'add_service';
$manual->get('/' => sub ($c) { $c->text($c->service('Clock', n => 3)) });
PAGI::Test::Client->run($manual->to_app, sub ($client) {
    is $made, 1, 'made at startup';
    is $client->get('/')->text, 'tick 3', 'a coderef is a factory';
});
$manual = PAGI::Simple->new(name => 'Manual', quiet => 1)->add_service(Bad => sub { die "bad service\n" });
like dies { PAGI::Test::Client->run($manual->to_app, sub { }) }, qr/bad service/, 'a failing coderef fails the startup';

done_testing;
