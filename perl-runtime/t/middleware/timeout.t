use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future;
use Future::AsyncAwait;
use Future::IO;
use IO::Async::Loop;
use PAGI::Middleware::Timeout;

my $T = 'PAGI::Middleware::Timeout';
sub finish ($result) { $result->future->await if $result->future && !$result->future->is_ready; return $result }

subtest 'fast' => sub {
    my $slept = 0;
    no warnings 'redefine';
    local *Future::IO::sleep = sub { $slept++; Future->new };
    my $result = drive($T->new(timeout => 5)->wrap(hello_app()), http_scope());
    is([ $result->status, $slept ], [ 200, 0 ], 'an application that answers at once costs no timer');
    my $gate = Future->new;
    drive($T->new->wrap(async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        await $gate;
    }), http_scope());
    is($slept, 0, 'nor one that has started');
    $gate->done;
};

subtest 'slow' => sub {
    for my $loop (undef, IO::Async::Loop->new) {
        my ($told, $cancelled, @late);
        my $gate = Future->new->on_cancel(sub { $cancelled = 1 });
        my $late_send;
        my $app = $T->new(timeout => 0.05, on_timeout => sub ($scope) { $told = $scope->{path} }, ($loop ? (loop => $loop) : ()))
            ->wrap(async sub ($scope, $receive, $send) { $late_send = $send; await $gate });
        my $result = finish(drive($app, http_scope(path => '/slow')));
        my $name = $loop ? 'IO::Async' : 'Future::IO';
        is([ $result->status, $result->body ], [ 504, 'Request timeout' ], "$name: 504");
        is([ $result->headers ], [ [ 'Content-Type', 'text/plain' ], [ 'Content-Length', 15 ] ], 'headers');
        is([ $told, $cancelled ], [ '/slow', 1 ], 'callback called, application cancelled');
        ok($late_send->({ type => 'http.response.start', status => 200 })->is_done, 'later sends are ignored');
        is(scalar $result->events, 2, 'really');
    }
};

subtest 'in time' => sub {
    my $result = finish(drive($T->new(timeout => 0.2)->wrap(async sub ($scope, $receive, $send) {
        await Future::IO->sleep(0.02);
        await hello_app()->($scope, $receive, $send);
    }), http_scope()));
    is([ $result->status, $result->error ], [ 200, undef ], 'after a wait');

    $result = finish(drive($T->new(timeout => 0.05)->wrap(async sub ($scope, $receive, $send) {
        await Future::IO->sleep(0.01);
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        await Future::IO->sleep(0.1);
        await $send->({ type => 'http.response.body', body => 'done', more => 0 });
    }), http_scope()));
    is([ $result->status, $result->body, scalar $result->events ], [ 200, 'done', 2 ], 'after the start there is no limit');

    $result = drive($T->new(timeout => 5)->wrap(async sub ($scope, $receive, $send) { await Future::IO->sleep(0.01); die "boom\n" }), http_scope());
    like($result->future->failure // ($result->future->await->failure)[0], qr/^boom$/m, 'an exception is passed on');
};

subtest 'cancelled from outside' => sub {
    my $cancelled;
    my $gate = Future->new->on_cancel(sub { $cancelled = 1 });
    my $result = drive($T->new(timeout => 5)->wrap(async sub { await $gate }), http_scope());
    $result->future->cancel;
    ok($cancelled, 'the application is cancelled with it');
};

like(dies { $T->new(timeout => 0) }, qr/Timeout 'timeout' must be a number of seconds above 0, got '0'/, 'checked');

done_testing;
