use v5.36;
use lib 't/lib', 't/simple/lib';
use Test2::V0;
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Future;
use Future::AsyncAwait;
use PAGI::Simple;
use PAGI::Test::Client;
use PAGITest::Backends qw(server_binary);
use PAGITest::Events qw(scripted);
use PAGITest::ServerClient;
use PAGITest::ServerProcess;

# What happens before the first request: the banner, the home of an application, the loop, the answers to lifespan events.

sub lifespan ($app, %pagi) {
    my ($receive, $send, $sent) = scripted({ type => 'lifespan.startup' }, { type => 'lifespan.shutdown' });
    my $said = '';
    {
        local *STDERR;
        open STDERR, '>', \$said or die;
        $app->to_app->({ type => 'lifespan', pagi => {%pagi}, state => {} }, $receive, $send)->get;
    }
    return ($said, [ map { $_->{type} . (defined $_->{message} ? ": $_->{message}" : '') } @$sent ]);
}
my @fine = ('lifespan.startup.complete', 'lifespan.shutdown.complete');

package SimpleTest::Banner::Service::Clock { our @ISA = 'PAGI::Simple::Service::PerApp' }
require PAGI::Simple::Service::PerApp;

subtest 'banner' => sub {
    my $app = sub (%options) { PAGI::Simple->new(name => 'Demo', home => '/srv/demo', lib => undef, %options) };
    my ($said, $sent) = lifespan($app->());
    is [ $said, $sent ], [ "[PAGI::Simple] Starting 'Demo'\n[PAGI::Simple] home: /srv/demo\n[PAGI::Simple] namespace: Demo\n", \@fine ], 'the least there is to say';
    ($said) = lifespan($app->(lib => '/srv/demo/lib', share => 'htmx', views => undef, workers => 1, namespace => 'SimpleTest::Banner'));
    is [ map { s/\A\[PAGI::Simple\] //r } split /\n/, $said ], [
        "Starting 'Demo'", 'home: /srv/demo', 'namespace: SimpleTest::Banner', 'lib: /srv/demo/lib', 'shared: htmx', 'templates: /srv/demo/templates',
        'services: Clock', 'workers: blocking code runs in child processes',
    ], 'all of it';
    @INC = grep { $_ ne '/srv/demo/lib' } @INC;
    is [ map { length((lifespan($app->(), worker_num => $_))[0]) ? 1 : 0 } 1, 2, 3 ], [ 1, 0, 0 ], 'by the first worker only';
    is [ lifespan($app->(quiet => 1)) ], [ '', \@fine ], 'quiet';
};

subtest 'events of the life cycle' => sub {
    my @log;
    my $app = PAGI::Simple->new(name => 'x', quiet => 1);
    $app->on(startup => sub ($self) { push @log, $self == $app ? 'up' : 'other'; $self->stash->{n} = 1 });
    $app->on(startup => async sub { await Future->done; push @log, 'async up' });
    $app->on(shutdown => sub ($self) { push @log, 'down ' . $self->stash->{n} });
    is [ lifespan($app) ], [ '', \@fine ], 'both are answered';
    is \@log, [ 'up', 'async up', 'down 1' ], 'hooks with the application, whose stash stays';
    for my $dying (sub { die "no database\n" }, async sub { die "no database\n" }) {
        my @warnings;
        local $SIG{__WARN__} = sub { push @warnings, @_ };
        my (undef, $sent) = lifespan(PAGI::Simple->new(name => 'x', quiet => 1)->on(startup => $dying));
        like $sent, [ qr/\Alifespan\.startup\.failed: no database/ ], 'a startup that fails: nothing follows';
        (undef, $sent) = lifespan(PAGI::Simple->new(name => 'x', quiet => 1)->on(shutdown => $dying));
        is [ $sent, \@warnings ], [ \@fine, ["PAGI::Simple shutdown hook error: no database\n"] ], 'a shutdown that fails is complete all the same';
    }
    like dies { PAGI::Simple->new(name => 'x')->on(startup => 'text') }, qr/\Aon 'startup' needs a coderef/, 'a hook is code';
    @log = ();
    PAGI::Test::Client->new(app => $app->get('/' => sub ($c) { $c->text('x') })->name('root'))->get('/');
    is \@log, [], 'requests run no hooks';
};

subtest 'home' => sub {
    my $top = tempdir(CLEANUP => 1);
    make_path("$top/$_") for qw(app/lib app/templates bare/lib blibbed/blib deep);
    my $home = sub ($place, $code = 'PAGI::Simple->new(quiet => 1)->home') {
        open my $out, '>', "$top/$place" or die "$place: $!";
        print {$out} "use strict; use warnings; use PAGI::Simple; $code;\n";
        close $out;
        my @before = @INC;
        my $result = do "$top/$place" // die $@;
        @INC = @before;
        return $result =~ s{\A\Q$top\E/}{}r;
    };
    is $home->('deep/app.pl'), 'deep', 'the directory of the file';
    is $home->('app/lib/MyApp.pm'), 'app', 'a lib beside templates';
    is $home->('bare/lib/MyApp.pm'), 'bare/lib', 'a lib with nothing beside it';
    for my $sign (qw(cpanfile Makefile.PL Build.PL dist.ini app.pl)) {
        open my $out, '>', "$top/blibbed/$sign" or die $!;
        close $out;
        is $home->('blibbed/blib/MyApp.pm'), 'blibbed', "$sign tells a distribution";
        unlink "$top/blibbed/$sign" or die $!;
    }
    is $home->('app/lib/Given.pm', 'PAGI::Simple->new(quiet => 1, home => "x/../y")->home'), 'app/lib/x/../y', 'a relative home begins at the file';
    is $home->('app/lib/Class.pm', 'package SimpleTest::FromFile; our @ISA = "PAGI::Simple"; our $seen; sub init { (quiet => 1) } sub routes { $seen = $_[1]->home } my $app = __PACKAGE__->to_app; $seen'),
        'app', 'to_app of a class counts as the file that calls it';
};

subtest 'blocking work' => sub {
    my ($with, $other, $without) = (PAGI::Simple->new(quiet => 1, workers => { max_workers => 3 }), PAGI::Simple->new(quiet => 1, workers => 1), PAGI::Simple->new(quiet => 1));
    is $without->worker_pool, undef, 'none unless configured';
    is [ map { $_->worker_pool->stats->{workers} } $with, $other ], [ 3, 4 ], 'as configured, or the default';
    ref_is $with->worker_pool, $with->worker_pool, 'one';
    ref_is_not $with->worker_pool, $other->worker_pool, 'for each application';
    like dies { PAGI::Simple->new(quiet => 1, workers => { colour => 1 })->worker_pool }, qr/Unknown workers options: colour/, 'an unknown option';
};

subtest 'the loop' => sub {
    my $app = PAGI::Simple->new(name => 'x', quiet => 1);
    isa_ok $app->loop, 'IO::Async::Loop';
    ref_is $app->loop, $app->loop, 'one of them';
    local @INC = sub { die "hidden\n" if $_[1] eq 'IO/Async/Loop.pm'; return };
    delete local $INC{'IO/Async/Loop.pm'};
    is $app->loop, undef, 'none without the module';
};

subtest 'on the server' => sub {
    my $binary = server_binary();
    if (!defined $binary) {
        ok !$ENV{PAGI_REQUIRE_SERVER}, 'there is no pagi-server to run';
        return;
    }
    my $top = tempdir(CLEANUP => 1);
    open my $out, '>', "$top/app.pl" or die $!;
    print {$out} <<'APP';
use v5.36;
use PAGI::Simple;
my $app = PAGI::Simple->new(name => 'Banner');
$app->on(startup => sub ($self) { $self->stash->{pid} = $$ });
$app->get('/' => sub ($c) { $c->json([ $$, $c->app->stash->{pid}, $c->app->home ]) });
$app->to_app;
APP
    close $out;
    my $server = PAGITest::ServerProcess->new(binary => $binary, args => [ '--workers', 3, '--port', 0, "$top/app.pl" ], env => { PERL5LIB => join ':', 'lib', $ENV{PERL5LIB} // () });
    my $client = PAGITest::ServerClient->new(port => $server->port);
    for (1 .. 10) {
        my ($pid, $started, $home) = $client->get('/')->json->@*;
        is [ $started, $home ], [ $pid, $top ], 'startup hooks ran in the worker that answers';
    }
    # the first worker may be the last to be ready
    for (1 .. 1000) { last if $server->log =~ /Starting 'Banner'/; select undef, undef, undef, 0.02 }
    is scalar(my @banners = $server->log =~ /\[PAGI::Simple\] Starting 'Banner'/g), 1, 'one banner for all workers';
};

done_testing;
