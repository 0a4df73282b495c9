use strict;
use warnings;
use Future;
use Future::AsyncAwait;
use Future::IO;
use IO::Async::Function;
use IO::Async::Loop;
use PAGI::App::Router;
use PAGI::Request;
use PAGI::Response;
use PAGI::WebSocket;

# Work that goes on after the response: in the event loop when it waits, in another process when it computes.

sub say_done { print STDERR "background: $_[0]\n" }

# Nobody waits for the Future, so it must be kept, and its failure must be told.
sub in_background {
    my ($what, $future) = @_;
    $future->on_fail(sub { print STDERR "background: $what failed: $_[0]\n" });
    $future->retain;
    return;
}

async sub send_mail {
    my ($to) = @_;
    await Future::IO->sleep(0.2);    # a mail server takes its time
    say_done("mail to $to");
}

async sub count_visit {
    await Future::IO->sleep(0.1);
    say_done('visit counted');
}

my $function;

sub compute {
    my ($number) = @_;
    if (!$function) {
        # made on first use, in the worker: it belongs to this process's loop
        $function = IO::Async::Function->new(
            code => sub { my ($n) = @_; my $sum = 0; $sum += $_ for 1 .. $n; return $sum },
            max_workers => 2,
        );
        IO::Async::Loop->new->add($function);
    }
    return $function->call(args => [$number]);
}

my $page = <<'HTML';
<!DOCTYPE html>
<meta charset="utf-8">
<title>Background tasks</title>
<form id="signup"><input id="email" placeholder="you@example.org"> <button>Sign up</button></form>
<p><button id="async">Asynchronous</button> <button id="blocking">Blocking</button></p>
<pre id="log"></pre>
<script>
const log = text => { document.getElementById('log').textContent += text + '\n'; };
const show = async response => log(JSON.stringify(await (await response).json()));
document.getElementById('async').onclick = () => show(fetch('/async'));
document.getElementById('blocking').onclick = () => show(fetch('/blocking'));
document.getElementById('signup').onsubmit = event => {
  event.preventDefault();
  const email = document.getElementById('email').value;
  show(fetch('/signup', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ email }) }));
};
const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
socket.onmessage = event => log(event.data);
</script>
HTML

my $router = PAGI::App::Router->new;

$router->get('/' => async sub {
    my ($scope, $receive, $send) = @_;
    await PAGI::Response->html($page)->respond($send);
});

$router->get('/async' => async sub {
    my ($scope, $receive, $send) = @_;
    await PAGI::Response->json({ status => 'ok' })->respond($send);
    # the client has its answer
    in_background(visit => count_visit());
    say_done('a quick task');
});

$router->get('/blocking' => async sub {
    my ($scope, $receive, $send) = @_;
    await PAGI::Response->json({ status => 'ok' })->respond($send);
    in_background("sum to $_", compute($_)->then(sub { my ($sum) = @_; say_done("sum $sum"); Future->done }))
        for 1000, 100_000;
});

$router->post('/signup' => async sub {
    my ($scope, $receive, $send) = @_;
    my $data = await PAGI::Request->new($scope, $receive)->json;
    my $email = ref $data eq 'HASH' ? $data->{email} : undef;
    return await PAGI::Response->json({ error => 'email is required' }, status => 400)->respond($send)
        unless defined $email && length $email;
    await PAGI::Response->json({ status => 'created', message => "Welcome, $email" }, status => 201)->respond($send);
    in_background(mail => send_mail($email));
    in_background(visit => count_visit());
});

$router->mount('/ws' => async sub {
    my ($scope, $receive, $send) = @_;
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'websocket';
    my $ws = PAGI::WebSocket->new($scope, $receive, $send);
    await $ws->accept;
    await $ws->send_text('Connected! Send a message.');
    await $ws->each_text(async sub {
        my ($text) = @_;
        in_background(visit => count_visit());
        await $ws->send_text("Got: $text");
    });
});

$router->to_app;
