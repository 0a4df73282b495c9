use v5.36;
use FindBin;
use lib "$FindBin::Bin/lib";
use Future::AsyncAwait;
use Future::IO;
use Mini;
use Time::HiRes qw(time);

# An application of the framework beside it. The file's last value is an object with `to_app`.

my $app = Mini->new;

# Adds a header to every response: the usual shape of middleware, a wrapped $send.
$app->wrap(sub ($inner) {
    return sub ($scope, $receive, $send) {
        my $started = time;
        my $timed   = sub ($event) {
            if ($event->{type} eq 'http.response.start') {
                my $header = [ 'x-runtime', sprintf '%.6f', time - $started ];
                $event = { %$event, headers => [ ($event->{headers} // [])->@*, $header ] };
            }
            return $send->($event);
        };
        return $inner->($scope, $receive, $timed);
    };
});

$app->route('GET', '/' => async sub ($request) { return "Mini framework\n" });

$app->route('GET', '/hello/:name' => async sub ($request) {
    return { hello => $request->{parameter}{name} };
});

$app->route('GET', '/slow' => async sub ($request) {
    await Future::IO->sleep(0.1);
    return "slow, but not blocking\n";
});

$app->route('POST', '/items' => async sub ($request) {
    return [ 201, { created => 1 }, location => '/items/1' ];
});

$app;
