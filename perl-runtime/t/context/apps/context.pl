use strict;
use warnings;
use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Context;
use PAGI::Lifespan;
use PAGI::Middleware::Builder;

# What t/context/backends.t asks for: contexts of all three kinds. What became of requests and connections is told at /log.
my $json = JSON::MaybeXS->new(utf8 => 1, canonical => 1, allow_nonref => 1, convert_blessed => 1);
my @log;

my %http = (
    '/properties' => async sub {
        my ($ctx) = @_;
        return $ctx->json({
            (map { $_ => scalar $ctx->$_ } qw(type path query_string scheme method is_http is_sse is_connected is_disconnected disconnect_reason has_session csrf_token is_writable)),
            header => $ctx->header('X-A'), state => $ctx->state->{greeting}, class => ref $ctx, marks => [ map { defined $ctx->$_ ? 1 : 0 } qw(buffered_amount) ],
            asserted => ref $ctx->assert_http, refused => do { eval { $ctx->assert_sse }; $@ =~ /^(expected .*?) at / ? $1 : $@ },
        });
    },
    '/stash' => async sub {
        my ($ctx) = @_;
        $ctx->stash->set(n => 1);
        return $ctx->text(PAGI::Context->new($ctx->scope, $ctx->receive, $ctx->raw_send)->stash->get('n'));
    },
    '/session' => async sub { my ($ctx) = @_; my $n = 1 + $ctx->session->get('n', 0); $ctx->session->set(n => $n); return $ctx->json($n) },
    '/csrf'    => async sub { my ($ctx) = @_; return $ctx->json($ctx->csrf_verify($ctx->req->query_param('token'))) },
    '/twice'   => async sub {
        my ($ctx) = @_;
        await $ctx->respond($ctx->text('first'));
        push @log, eval { $ctx->respond(PAGI::Response->text('second')); 1 } ? 'sent twice' : $@ =~ s/ at .*//sr;
        push @log, eval { PAGI::Context->new($ctx->scope, $ctx->receive, $ctx->raw_send)->respond(PAGI::Response->text('third')); 1 } ? 'sent twice' : $@ =~ s/ at .*//sr;
        return undef;
    },
    '/complete' => async sub {
        my ($ctx) = @_;
        $ctx->on_complete(sub { push @log, 'complete' });
        $ctx->on_disconnect(sub { push @log, 'disconnected' });
        return $ctx->html('<p>');
    },
    '/echo' => async sub { my ($ctx) = @_; return $ctx->json(await($ctx->req->json), status => 201) },
    '/old'  => async sub { my ($ctx) = @_; await $ctx->response->status(202)->json({ old => 1 }); return undef },
    '/to'   => async sub { my ($ctx) = @_; return $ctx->redirect('/echo', 307) },
    '/log'  => async sub { my ($ctx) = @_; return $ctx->json([ splice @log ]) },
);

my $app = async sub {
    my ($scope, $receive, $send) = @_;
    die "no lifespan\n" if $scope->{type} eq 'lifespan';
    my $ctx = PAGI::Context->new($scope, $receive, $send);
    if ($ctx->is_http) {
        my $handler = $http{ $ctx->path } or return await $ctx->respond($ctx->text('no such path', status => 404));
        my $response = await $handler->($ctx);
        await $ctx->respond($response) if $response;
        return;
    }
    if ($ctx->is_websocket) {
        if ($ctx->path eq '/deny') { await $ctx->deny(status => 402, body => 'pay first'); return }
        await $ctx->accept;
        if ($ctx->path eq '/each') {
            await $ctx->each_json(async sub { my ($data) = @_; await $ctx->send_json({ got => $data, connected => $ctx->is_connected }) });
            push @log, 'each ended ' . $ctx->close_code;
            return;
        }
        $ctx->ws->on_close(sub { push @log, "closed $_[0] $_[1]" });
        $ctx->on('websocket.receive' => async sub {
            my ($c, $event) = @_;
            die "no $event->{text}\n" if $event->{text} eq 'bad';
            $c->stop if $event->{text} eq 'stop';
            await $c->send_text("you said $event->{text}");
        });
        $ctx->on_error(async sub { my ($c, $error, $source) = @_; await $c->send_text("$source: $error") });
        my $how = await $ctx->run;
        push @log, "ran until $how";
        await $ctx->close(4001, 'stopped') if $how eq 'stop';
        return;
    }
    $ctx->sse->on_close(sub { push @log, "stream $_[1]" });
    await $ctx->send_event(event => 'hello', data => { id => $ctx->last_event_id, started => $ctx->is_started });
    await $ctx->send("line one\nline two");
    await $ctx->send_comment('a comment');
    if ($ctx->path eq '/short') { await $ctx->close(reason => 'enough'); return }
    push @log, 'stream ran until ' . await $ctx->run;
};

PAGI::Lifespan->wrap(
    (builder { enable 'Session', secret => 's'; enable 'CSRF', secret => 's', enforce => 'app'; $app }),
    startup => async sub { my ($state) = @_; $state->{greeting} = "h\x{e9}llo" },
);
