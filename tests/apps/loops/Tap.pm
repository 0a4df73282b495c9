package Tap;

# Runs Test::More tests inside a handler: the answer is their TAP output. Each path is one test; /plain is an answer
# that a test may ask the server for meanwhile.

use strict;
use warnings;

use Exporter 'import';
use Future;
use Future::AsyncAwait;
use Test::More ();

our @EXPORT = qw(tap_app tap_to_file);

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
    my $builder = _builder(\$output);
    if (!$test) {
        $output = "not ok - no such test\n";
    }
    else {
        my $ok = eval { my $future = $test->($scope); await $future if ref $future; 1 };
        $output .= "not ok - died: $@\n" unless $ok;
        $builder->done_testing unless $output =~ /^1\.\.\d/m;
    }
    await _answer($send, $output);
    return;
}

# Runs a test at once, with its output to a file.
sub tap_to_file {
    my ($name, $test) = @_;
    my $output = '';
    _builder(\$output);
    eval { $test->(); 1 } or $output .= "not ok - died: $@\n";
    open my $file, '>', $name or die "$name: $!";
    print $file $output;
    close $file or die "$name: $!";
    return;
}

sub _builder {
    my ($output) = @_;
    my $builder = Test::More->builder;
    $builder->reset;
    $builder->$_($output) for qw(output failure_output todo_output);
    return $builder;
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
