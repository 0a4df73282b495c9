use v5.36;
use lib 't/lib', 't/simple/lib';
use Test2::V0;
use PAGI::Simple;
use PAGI::Test::Client;
use PAGITest::Backends qw(each_backend);

# Services: discovery, scopes, without a lifespan, on connections.

my @warnings;
local $SIG{__WARN__} = sub { push @warnings, @_ };

each_backend('t/simple/apps/services.pl', sub ($client, $backend) {
    my $wait = 20;
    my $ended = sub ($wanted) {
        for (1 .. 500) { my $log = $client->get('/ended')->json; return $log if @$log >= $wanted; select undef, undef, undef, 0.02 }
        return [];
    };
    is [ map { $client->get('/next')->text } 1, 2 ], [ 10, 11 ], 'PerApp: one object, its config, without a lifespan (defect 31)';
    is $client->get('/visitor?name=ann')->json, [ 'ann', 1, 1 ], 'PerRequest: one per request, with async methods';
    is $ended->(1), ['/visitor'], 'told at the end';
    is $client->get('/mail')->text, 'ann<me', 'Factory: arguments and config; a nested, inline class';
    like $client->get('/unknown')->text, qr/Unknown service 'Nope'\. Available: Counter, Deep::Mail, Visitor/, 'unknown';
    is $client->websocket('/ws')->receive_text($wait), 12, 'on a WebSocket (defect 31)';
    my $sse = $client->sse('/sse?name=eve');
    is $sse->receive_event(timeout => $wait)->{data}, 'eve', 'on an event stream';
    is $client->get('/ended')->json, [], 'which goes on';
    $sse->close;
    is $ended->(1), ['/sse'], 'until it ends';
    is $client->get('/registry')->json, [qw(Counter Deep::Mail Visitor)], 'the registry';
});
is \@warnings, ["PAGI::Simple: the service SimpleServices::Service::Broken is left out: no connection\n"], 'a class that fails is left out';

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

subtest 'scopes' => sub {
    package SimpleServices::Service::Deep::Tally {
        our @ISA = 'PAGI::Simple::Service::PerRequest';
        sub on_request_end ($self, $c) { push @main::ended, $self->{label}; return Future->fail("cannot say goodbye\n") if $self->{label} eq 'failing'; return Future->done }
    }
    our @ended;
    my $app = PAGI::Simple->new(name => 'x', namespace => 'SimpleServices::Service', quiet => 1);    # nothing is found there
    $app->add_service(tally => 'SimpleServices::Service::Deep::Tally')->add_service(counter => 'SimpleServices::Service::Counter');
    $app->add_service(ready => bless({ is => 'ready' }, 'SimpleServices::Made'));
    is [ $app->_services->names ], [qw(counter ready tally)], 'names, before anything is started';
    $app->get('/:label' => sub ($c) {
        my $tally = $c->service('tally', label => $c->path_params->{label});
        my $again = $c->service('tally', label => 'other');
        $c->json([ $tally == $again ? 1 : 0, $tally->{label}, ref $tally->c, ref $tally->app, $c->service('ready')->{is}, defined $c->service('counter')->c ? 1 : 0, ref $c->service('counter')->app ]);
    });
    my $client = PAGI::Test::Client->new(app => $app);
    @warnings = ();
    is $client->get('/one')->json, [ 1, 'one', 'PAGI::Simple::Context', 'PAGI::Simple', 'ready', 0, 'PAGI::Simple' ], 'a class, an object; PerApp services know no request';
    like \@warnings, [ qr/\AArguments for the service SimpleServices::Service::Deep::Tally are ignored: it exists already in this request/ ], 'arguments that come too late are warned about';
    @warnings = ();
    is $client->get('/failing')->status, 200, 'a service that fails at the end';
    is \@ended, [ 'one', 'failing' ], 'each was told';
    is $warnings[-1], "PAGI::Simple: on_request_end of SimpleServices::Service::Deep::Tally failed: cannot say goodbye\n", 'its failure is reported';

    $app->add_service(late => sub ($app) { 'made at once' });
    is $app->service_registry->{late}, 'made at once', 'one that is added while the application runs';
    like dies { $app->add_service('x') }, qr/\Aadd_service takes/, 'add_service without a service';
    like dies { PAGI::Simple->new(name => 'y', quiet => 1)->add_service(x => 'PAGI::Simple::Exception')->service_registry }, qr/PAGI::Simple::Exception is not a PAGI::Simple service/, 'a class that is none';
    is(PAGI::Simple::Service::_Base->new(a => 1)->on_request_end, undef, 'the base class does nothing at the end');
    my $own = PAGI::Simple::Service::_Base->init_service($app, { a => 1 });
    is [ $own->{a}, $own->app == $app ], [ 1, T ], 'and makes one object of its configuration';
};

done_testing;
