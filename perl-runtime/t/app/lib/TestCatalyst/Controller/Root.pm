package TestCatalyst::Controller::Root;

use Moose;
use Future::AsyncAwait;
use Future::IO;

BEGIN { extends 'Catalyst::Controller' }

__PACKAGE__->config(namespace => '');

my $log = \%TestCatalyst::LOG;

# Counts the contexts that are there.
{
    package TestCatalyst::Guard;
    sub new { $log->{alive}++; return bless {}, $_[0] }
    sub DESTROY { $log->{alive}-- }
}

sub begin :Private { my ($self, $c) = @_; $c->stash->{ran} = 'begin'; $c->stash->{guard} = TestCatalyst::Guard->new; return }

sub auto :Private {
    my ($self, $c) = @_;
    $c->stash->{ran} .= ' auto';
    return 1 unless $c->req->query_parameters->{refuse};
    $c->res->status(401);
    $c->res->body('not you');
    return 0;
}

sub end :Private { my ($self, $c) = @_; $log->{end}++; $c->res->content_type('text/plain'); $c->res->body($c->stash->{text}) unless $c->res->has_body; return }

sub text { my ($c, $text) = @_; $c->stash->{text} = $text; return }

sub sync :Local :Args(0) { my ($self, $c) = @_; text($c, join ' ', $c->stash->{ran}, $c->is_pagi, $c->pagi_scope_type) }
sub noted :Local :Args(1) { my ($self, $c, $key) = @_; text($c, $log->{$key} // 'nothing') }
sub default :Path { my ($self, $c) = @_; $c->res->status(404); text($c, 'no such page') }

async sub http :Local :Args(0) :Async {
    my ($self, $c) = @_;
    my $stash = $c->stash;
    await Future::IO->sleep(0.01);
    $c->res->cookies->{late} = { value => 'yes' };
    my $same = $stash == $c->stash && $c->action->name eq 'http' ? 'same' : 'another';
    text($c, join ' ', $c->stash->{ran}, $c->is_pagi, $c->pagi_scope_type, $same, $c->req->method, length($c->req->body_parameters->{a} // ''));
}

async sub at_once :Local :Args(0) :Async { my ($self, $c) = @_; text($c, 'at once') }

async sub class :Local :Args(0) :ActionClass('Async') { my ($self, $c) = @_; await Future::IO->sleep(0.001); text($c, 'by class') }

async sub off :Local :Args(0) :Async {
    my ($self, $c) = @_;
    my ($pid, @args) = await $c->pagi->blocking(sub { select undef, undef, undef, 0.05; return ($$, @_) }, 'one', 'two');
    my $where = $pid == $$ ? 'here' : 'elsewhere';
    text($c, "$where @args");
}

async sub job :Local :Args(0) :Async {
    my ($self, $c) = @_;
    my $answer = await $c->pagi->pool->call('double', args => [21]);
    text($c, "answer $answer");
}

async sub forwards :Local :Args(0) :Async {
    my ($self, $c) = @_;
    $c->forward('sync');
    await Future::IO->sleep(0.01);
    $c->forward('sync');
}

async sub dies :Local :Args(0) :Async { my ($self, $c) = @_; await Future::IO->sleep(0.01); die "after a while\n" }
async sub dies_now :Local :Args(0) :Async { die "at once\n" }

async sub long :Local :Args(0) :Async {
    my ($self, $c) = @_;
    $c->pagi->on_cleanup(sub { $log->{long} = 'cleaned up' });
    $log->{long} = 'waiting';
    await Future::IO->sleep(60);
    $log->{long} = 'not cancelled';
}

async sub raw :Local :Args(0) :Async {
    my ($self, $c) = @_;
    $c->res->cookies->{raw} = { value => 'cookie' };
    await $c->pagi->send({ type => 'http.response.start', status => 202, headers => [['content-type', 'text/plain']] });
    await $c->pagi->send({ type => 'http.response.body', body => 'raw ' . $c->pagi->path, more => 0 });
}

async sub streamed :Local :Args(0) :Async {
    my ($self, $c) = @_;
    $c->res->cookies->{streamed} = { value => 'cookie' };
    await $c->pagi->response->status(201)->header('content-type', 'text/plain')->stream(async sub {
        my ($writer) = @_;
        for (my $n = 1; $n <= 3; $n++) {
            await $writer->write("part $n\n");
            await Future::IO->sleep(0.01);
        }
    });
}

async sub echo :Local :Args(0) :Async {
    my ($self, $c) = @_;
    $c->res->cookies->{seen} = { value => 'before accept' };
    my $ws = $c->pagi->websocket;
    await $ws->accept;
    my $number = ++$log->{echoes};
    await $ws->send_text(join ' ', $c->stash->{ran}, $c->is_pagi, $c->pagi_scope_type, $c->uri_for('/x'));
    while (defined(my $text = await $ws->receive_text)) {
        die "in the WebSocket\n" if $text eq 'die';
        await $ws->send_text("$number: $text");
    }
    $log->{echo_ended} = $number;
}

sub room :Chained('/') :PathPart('room') :CaptureArgs(1) { my ($self, $c, $room) = @_; $c->stash->{room} = "room $room" }

async sub talk :Chained('room') :PathPart('talk') :Args(0) :Async {
    my ($self, $c) = @_;
    my $ws = $c->pagi->websocket;
    await $ws->accept;
    await $ws->send_text($c->stash->{room});
    await $ws->close(4000);
}

async sub events :Local :Args(0) :Async {
    my ($self, $c) = @_;
    $c->pagi->on_cleanup(sub { $log->{events} = 'cleaned up' });
    my $sse = $c->pagi->sse;
    await $sse->send_event(data => $c->pagi_scope_type);
    await Future::IO->sleep(60);
}

async sub wrong :Local :Args(0) :Async { my ($self, $c) = @_; $c->pagi->websocket }

1;
