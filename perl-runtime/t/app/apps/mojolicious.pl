use Mojolicious::Lite -signatures;

# Everything that Mojolicious does with a connection.
app->secrets(['for tests']);
my %log;
get '/' => sub ($c) { $c->render(text => join ' ', $c->param('n') // '-', $c->url_for('/x'), $c->req->url->to_abs->path, $c->tx->remote_address) };
any '/echo' => sub ($c) { $c->render(data => $c->req->body) };
post '/form' => sub ($c) { my $file = $c->param('file'); $c->render(text => join ' ', $c->param('name'), $file->filename, length $file->slurp) };
get '/session' => sub ($c) { my $count = ++$c->session->{count}; $c->res->headers->add('X-Two' => $_) for 'a', 'b'; $c->render(text => $count) };
get '/later' => sub ($c) {
    $c->render_later;
    Mojo::IOLoop->timer(0.05 => sub { $c->render(text => 'later') });
};
get '/promise' => sub ($c) {
    $c->render_later;
    $c->ua->get_p('http://127.0.0.1:' . $c->tx->local_port . '/later')->then(sub ($tx) { $c->render(text => 'got ' . $tx->res->body) })->catch(sub ($e) { $c->reply->exception($e) });
};
get '/chunks' => sub ($c) {
    my ($n, $next) = (0);
    $next = sub ($c, @) { $n++ < 3 ? $c->write_chunk("part $n\n", $next) : $c->write_chunk('') };
    $c->$next;
};
get '/events' => sub ($c) {
    $c->res->headers->content_type('text/event-stream');
    my $n = 0;
    my $id = Mojo::IOLoop->recurring(0.02 => sub { $c->write("data: " . $n++ . "\n\n") });
    $c->on(finish => sub { Mojo::IOLoop->remove($id); $log{events} = 'finished' });
    $c->write;
};
get '/endless' => sub ($c) {
    $c->on(finish => sub { $log{endless}++ });
    my $more;
    $more = sub ($c, @) { $c->write('x' x 65_536, $more) };
    $c->$more;
};

get '/big' => sub ($c) {
    my ($left, $next) = (200);
    $next = sub ($c, @) { $log{big} = $left; $left-- ? $c->write('x' x 100_000, $next) : $c->finish };
    $c->res->headers->content_length(20_000_000);
    $c->$next;
};
get '/file' => sub ($c) { $c->reply->file(__FILE__) };
get '/redirect' => sub ($c) { $c->redirect_to('/x') };
get '/die' => sub ($c) { die "on purpose\n" };
get '/log/:key' => sub ($c) { $c->render(text => $log{ $c->param('key') } // 'nothing') };
get '/mode' => sub ($c) { $c->render(text => $c->app->mode) };
get '/started' => sub ($c) { $c->render(text => $log{server} // 'no') };
# Counts the transactions that are there.
{
    package TestGuard;
    sub new ($class) { $log{alive}++; return bless {}, $class }
    sub DESTROY ($self) { $log{alive}-- }
}
hook after_build_tx => sub ($tx, $app) { $tx->{guard} = TestGuard->new };
hook before_server_start => sub ($server, $app) { $log{server} = ref $server };
websocket '/ws' => sub ($c) {
    $c->tx->with_protocols('chat');
    $c->on(text => sub ($c, $bytes) { $log{text} = length $bytes });
    $c->on(message => sub ($c, $message) {
        die "in a message\n" if $message eq 'die';
        return $c->finish(4001, "gr\x{fc}\x{df}e") if $message eq 'bye';
        return $c->send({ binary => "\xff$message" }) if $message eq 'binary';
        return $c->send({ json => { length => length $message } }) if length $message > 1000;
        $c->send("echo: $message" => sub ($c, @) { $log{drain}++ });
    });
    $c->on(finish => sub ($c, $code, $reason = undef) { $log{ws} = "$code " . ($reason // '') });
};
websocket '/endless-ws' => sub ($c) {
    $c->on(message => sub { });
    $c->on(finish => sub { $log{'endless-ws'} = 'finished' });
    my $more;
    $more = sub ($c, @) { $c->send({ binary => 'x' x 65_536 } => $more) };
    $c->$more;
};
websocket '/no' => sub ($c) { $c->render(text => 'not you', status => 403) };

app->start;
