use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Spec;
use PAGITest::Browser qw(browse);
use PAGITest::Pool;

# examples/job-runner does what its README says.

$ENV{JOB_RUNNER_LARGEST} = 5_000_000;
my $app = File::Spec->rel2abs('../examples/job-runner/app.pl');

subtest 'jobs' => sub {
    my $pool = PAGITest::Pool->new($app, '--workers', 2, '--pool', 1);
    my $client = $pool->client;
    like $client->get('/')->text, qr/<h1>Primes/, 'the page';
    my @events;
    $client->sse('/events', sub ($sse) {
        my $started = $client->post('/jobs', json => { largest => 1000 });
        is $started->status, 202, 'a job is taken';
        my $id = $started->json->{id};
        is $started->header('location'), "/jobs/$id", 'it has a place';
        until (@events && $events[-1]{state} eq 'finished') { push @events, $sse->receive_json }
        is $client->get("/jobs/$id")->json, hash { field state => 'finished'; field found => 168; field done => 1; etc }, 'what it came to';
    });
    is [ map { $_->{done} } @events[ 0 .. 20 ] ], [ map { $_ / 20 } 0 .. 20 ], 'every step was told';
    is $events[0]{pid}, ($pool->processes('pool'))[0], 'by a pool process';
    my $long = $client->post('/jobs', json => { largest => 5_000_000 })->json->{id};
    is $client->delete("/jobs/$long")->status, 202, 'a long one is stopped';
    $pool->eventually('it has stopped', sub { $client->get("/jobs/$long")->json->{state} eq 'stopped' });
    is $client->post('/jobs', body => $_)->status, 422, "refused: $_" for '', '{}', '[]', '{"largest":1}', '{"largest":"x"}', '{"largest":6000000}';
    is $client->post('/jobs', body => 'x' x 2000)->status, 413, 'refused: too long';
    is [ map { $client->get($_)->status } '/jobs/0', '/other' ], [ 404, 404 ], 'unknown places';
    is $client->put("/jobs/$long")->status, 405, 'and methods';
    unlike $pool->server->log, qr/ ERROR |uninitialized|lost its returning/, 'nothing to complain of';
};

subtest 'limits' => sub {
    my $pool = PAGITest::Pool->new($app, '--workers', 1, '--pool', 1, '--pool-queue-limit', 1);
    my @started = map { $pool->client->post('/jobs', json => { largest => 5_000_000 }) } 1 .. 6;
    my ($refused) = grep { $_->status == 503 } @started;
    is [ $refused->json->{error}, $refused->header('retry-after') ], [ 'too much waits already', 5 ], 'more than may wait';
    $pool->client->delete('/jobs/' . $_->json->{id}) for grep { $_->status == 202 } @started;
    my $without = PAGITest::Pool->new($app, '--workers', 2);
    my $answer = $without->client->post('/jobs', json => { largest => 10 });
    is [ $answer->status, $answer->json->{error} ], [ 503, 'start the server with --pool' ], 'no pool';
};

subtest 'the page' => sub {
    my $pool = PAGITest::Pool->new($app, '--workers', 2, '--pool', 2);
    browse('job_runner', 'http://127.0.0.1:' . $pool->server->port . '/') or diag $pool->server->log;
};

done_testing;
