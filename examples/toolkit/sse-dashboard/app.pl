use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use Future::AsyncAwait;
use Future::IO;
use PAGI::App::File;
use PAGI::SSE;

# One timer for all streams, and only while somebody watches.

my %watching;    # subscriber id => PAGI::SSE
my ($subscribers, $last_id, $requests) = (0, 0, 0);
my $ticking;

sub metrics {
    open my $file, '<', '/proc/self/statm' or return {};
    my (undef, $pages) = split ' ', <$file>;
    my ($user, $system) = times;
    return { cpu => sprintf('%.2f', $user + $system), memory => $pages * 4, requests => $requests, timestamp => time };
}

async sub tick {
    while (%watching) {
        await Future::IO->sleep(2);
        my ($id, $metrics) = (++$last_id, metrics());
        my @streams = values %watching;
        for my $sse (@streams) {
            await $sse->try_send_event(event => 'metrics', data => $metrics, id => $id);
        }
    }
    undef $ticking;
}

async sub events {
    my ($scope, $receive, $send) = @_;
    my $sse = PAGI::SSE->new($scope, $receive, $send);
    my $subscriber = ++$subscribers;

    await $sse->keepalive(25);
    my $last = $sse->last_event_id;
    if (defined $last) { await $sse->send_event(event => 'reconnected', data => { last_id => $last }) }
    await $sse->send_event(event => 'connected', data => { subscriber_id => $subscriber, server_time => time });

    $watching{$subscriber} = $sse;
    $sse->on_close(sub { delete $watching{$subscriber} });
    $ticking ||= tick();
    await $sse->run;
}

my $files = PAGI::App::File->new(root => dirname(Cwd::abs_path(__FILE__)) . '/public')->to_app;

async sub app {
    my ($scope, $receive, $send) = @_;
    $requests++;
    return await events($scope, $receive, $send) if $scope->{type} eq 'sse' && $scope->{path} eq '/events';
    return await $files->($scope, $receive, $send) if $scope->{type} eq 'http';
    die "Unsupported scope type: $scope->{type}\n";
}

\&app;
