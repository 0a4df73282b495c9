package Tap;

# Runs Test::More tests inside a handler: the answer is their TAP output. Each path is one test; /plain is an answer
# that a test may ask the server for meanwhile.

use strict;
use warnings;

use Exporter 'import';
use Future;
use Future::AsyncAwait;
use Test::More ();

our @EXPORT = qw(tap_app);

# The application of these tests: path => code. The code may be an async sub.
sub tap_app {
    my (%tests) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        die "no lifespan\n" if $scope->{type} eq 'lifespan';
        return _run($tests{substr $scope->{path}, 1}, $scope, $send);
    };
}

async sub _run {
    my ($test, $scope, $send) = @_;
    return await _answer($send, 'plain') if $scope->{path} eq '/plain';
    my $output = '';
    my $builder = Test::More->builder;
    $builder->reset;
    $builder->$_(\$output) for qw(output failure_output todo_output);
    if (!$test) {
        $output = "not ok - no such test\n";
    }
    else {
        my $ok = eval { my $future = $test->($scope); await $future if ref $future; 1 };
        $output .= "not ok - died: $@\n" unless $ok;
        $builder->done_testing unless $output =~ /^1\.\.\d/m;
    }
    # Also where a test finds it that has stopped the server.
    if (defined $ENV{TAP_FILE}) {
        open my $file, '>', $ENV{TAP_FILE} or die "$ENV{TAP_FILE}: $!";
        print $file $output;
        close $file or die "$ENV{TAP_FILE}: $!";
    }
    await _answer($send, $output);
    return;
}

async sub _answer {
    my ($send, $body) = @_;
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [['content-type', 'text/plain'], ['content-length', length $body]],
    });
    await $send->({ type => 'http.response.body', body => $body });
    return;
}

1;
