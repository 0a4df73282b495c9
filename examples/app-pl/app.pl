use strict;
use warnings;
use Future::AsyncAwait;

# The classic form: the last value of the file is the application. Runs on any Perl that PAGI runs on: no signatures.

my $greeting = 'Hello from app.pl';

my $app = async sub {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'http';

    my $body = "$greeting, you asked for $scope->{path}\n";
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $body ] ],
    });
    await $send->({ type => 'http.response.body', body => $body });
};

$app;
