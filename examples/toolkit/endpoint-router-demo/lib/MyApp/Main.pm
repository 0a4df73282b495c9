package MyApp::Main;

use strict;
use warnings;
use parent 'PAGI::Endpoint::Router';
use Cwd ();
use File::Basename qw(dirname);
use Future::AsyncAwait;
use Future::IO;
use MyApp::API;
use PAGI::Response;

my $public = dirname(Cwd::abs_path(__FILE__)) . '/../../public';
my $next_id = 0;

sub routes {
    my ($self, $r) = @_;
    $r->get('/' => ['count'] => 'home')->name('home');
    $r->get('/app.js' => sub { PAGI::Response->send_file("$public/app.js") });
    $r->mount('/api' => MyApp::API->to_app);
    $r->websocket('/ws/echo' => 'ws_echo');
    $r->sse('/events/metrics' => 'sse_metrics');
}

async sub count {
    my ($self, $ctx, $next) = @_;
    $ctx->state->{metrics}{requests}++;
    return await $next->();
}

async sub home {
    my ($self, $ctx) = @_;
    my $config = $ctx->state->{config};
    return $ctx->html(<<"HTML");
<!DOCTYPE html>
<meta charset="utf-8">
<title>$config->{app_name}</title>
<h1>$config->{app_name} $config->{version}</h1>
<p>Metrics: <code id="metrics">...</code></p>
<p>WebSocket: <code id="echo">...</code></p>
<script src="/app.js"></script>
HTML
}

async sub ws_echo {
    my ($self, $ctx) = @_;
    my $metrics = $ctx->state->{metrics};
    await $ctx->accept;
    await $ctx->keepalive(25);
    $metrics->{ws_active}++;
    $ctx->websocket->on_close(sub { $metrics->{ws_active}-- });

    await $ctx->send_json({ type => 'connected' });
    await $ctx->each_json(async sub {
        my ($data) = @_;
        $metrics->{ws_messages}++;
        await $ctx->send_json({ type => 'echo', data => $data });
    });
}

async sub sse_metrics {
    my ($self, $ctx) = @_;
    my $metrics = $ctx->state->{metrics};
    my $last = $ctx->last_event_id;

    # a client that was here before says which event it saw last
    if (defined $last && $last =~ /\A[0-9]+\z/) {
        await $ctx->send_event(event => 'reconnected', data => { last_id => $last + 0, missed => $next_id - $last }, id => ++$next_id, retry => 3000);
    }
    else {
        await $ctx->send_event(event => 'connected', data => { metrics => $metrics }, id => ++$next_id, retry => 3000);
    }
    await $ctx->keepalive(15);
    $ctx->sse->on_close(sub {
        my ($sse, $reason) = @_;
        print STDERR "metrics stream ended: $reason\n" unless $reason eq 'client_closed';
    });
    await $ctx->every(2, async sub {
        await $ctx->send_event(event => 'metrics', data => $metrics, id => ++$next_id);
    });
}

1;
