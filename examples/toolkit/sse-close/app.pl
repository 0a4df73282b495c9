use strict;
use warnings;
use Future::AsyncAwait;
use Future::IO;
use PAGI::Response;
use PAGI::SSE;

# A stream that ends when the job is done. The reason of the close stays on the server: what the page shall know is
# an event, here `done`.

async sub progress {
    my ($scope, $receive, $send) = @_;
    my $sse = PAGI::SSE->new($scope, $receive, $send);
    $sse->on_close(sub {
        my ($stream, $reason) = @_;
        print STDERR "stream ended: $reason\n";
    });
    for my $percent (25, 50, 75, 100) {
        last if $sse->is_closed;
        await $sse->send_event(event => 'progress', data => { percent => $percent });
        await Future::IO->sleep(0.5);
    }
    return if $sse->is_closed;
    await $sse->send_event(event => 'done', data => 'finished');
    await $sse->close(reason => 'job_complete');
}

my $page = <<'HTML';
<!DOCTYPE html>
<meta charset="utf-8">
<title>Progress</title>
<progress id="bar" max="100" value="0"></progress> <span id="state">working</span>
<script>
const events = new EventSource('/');
events.addEventListener('progress', event => { document.getElementById('bar').value = JSON.parse(event.data).percent; });
events.addEventListener('done', event => {
  events.close();    // or the browser would ask again
  document.getElementById('state').textContent = event.data;
});
</script>
HTML

async sub app {
    my ($scope, $receive, $send) = @_;
    return await progress($scope, $receive, $send) if $scope->{type} eq 'sse';
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    await PAGI::Response->html($page)->respond($send);
}

\&app;
