use strict;
use warnings;
use Future::AsyncAwait;

# The application of a fresh installation: it shows that the server works, and says what to do next.

my $PAGE = do { local $/; <DATA> };

async sub respond {
    my ($send, $status, $type, $body) = @_;
    await $send->({
        type    => 'http.response.start',
        status  => $status,
        headers => [
            [ 'content-type',   $type ],
            [ 'content-length', length $body ],
            [ 'x-content-type-options', 'nosniff' ],
        ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

async sub app {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    if ($scope->{path} ne '/') {
        await respond($send, 404, 'text/plain; charset=utf-8', "Nothing is here; the welcome page is /\n");
        return;
    }
    await respond($send, 200, 'text/html; charset=utf-8', $PAGE);
}

\&app;

__DATA__
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Welcome to PAGI</title>
<style>
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 4rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.8rem; }
code, pre { font-family: ui-monospace, monospace; background: #f3f3f3; border-radius: 4px; }
code { padding: .1em .3em; }
pre { padding: 1rem; overflow-x: auto; }
</style>
<h1>PAGI is running</h1>
<p>This page is the application <code>/usr/share/pagi/welcome/app.pl</code>. To serve your own:</p>
<ol>
<li>Put it somewhere the service can read, such as <code>/srv/my-app/app.pl</code>.</li>
<li>Name it in <code>/etc/pagi/pagi.toml</code>:<pre>app = "/srv/my-app/app.pl"</pre></li>
<li>Restart the service: <pre>systemctl restart pagi</pre></li>
</ol>
<p>Later changes of the code need only <code>systemctl reload pagi</code>: the new code is loaded beside the old, takes over
without losing a request, and when it does not load the old code serves on.</p>
<p><code>pagictl status</code> shows the workers, <code>journalctl -u pagi</code> the log.
<code>man pagi-server</code> describes every option.</p>
</html>
