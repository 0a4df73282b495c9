use Mojolicious::Lite -signatures;
use Digest::SHA ();

app->secrets([ $ENV{NOTES_SECRET} // 'change me in production' ]);
app->sessions->cookie_name('notes');

get '/' => sub ($c) {
    $c->session->{visits}++;
    $c->render(template => 'index', who => $c->session->{name} // 'guest');
};

get '/about' => sub ($c) { $c->render(template => 'about', lines => [ map {"line $_ of <this> & that"} 1 .. 20 ]) };

post '/login' => sub ($c) {
    $c->session(name => $c->param('name'));
    $c->res->code(303);
    $c->redirect_to('/');
};

post '/notes' => sub ($c) {
    push $c->session->{notes}->@*, $c->param('text');
    $c->res->code(303);
    $c->redirect_to('/');
};

post '/upload' => sub ($c) {
    my $upload = $c->req->upload('file');
    $c->render(text => join(' ', $upload->filename, $upload->size, Digest::SHA::sha1_hex($upload->slurp)), format => 'txt');
};

get '/stream' => sub ($c) {
    my ($n, $next) = (0);
    $next = sub ($c, @) { $n++ < 5 ? $c->write_chunk("line $n\n", $next) : $c->write_chunk('') };
    $c->res->headers->content_type('text/plain');
    $c->$next;
};

# Waits without blocking anybody.
get '/slow' => sub ($c) {
    $c->render_later;
    Mojo::IOLoop->timer($c->param('seconds') // 0.5, sub { $c->render(text => 'slept', format => 'txt') });
};

get '/fail' => sub ($c) { die "on purpose\n" };

websocket '/shout' => sub ($c) {
    my $name = $c->session->{name} // 'guest';
    $c->on(message => sub ($c, $text) { $c->send("$name: " . uc $text) });
};

get '/ticks' => sub ($c) {
    $c->res->headers->content_type('text/event-stream');
    my $n  = 0;
    my $id = Mojo::IOLoop->recurring(0.1 => sub { $n++; $c->write_chunk("id: $n\nevent: tick\ndata: $n\n\n") });
    $c->on(finish => sub { Mojo::IOLoop->remove($id) });
    $c->write_chunk;
};

# For pagi-server, hypnotoad and `perl app.pl daemon`.
app->start;

__DATA__

@@ index.html.ep
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Notes</title>
%= stylesheet '/static/notes.css'
</head>
<body data-live="1">
<h1>Hello, <%= $who %></h1>
<p>Visit <span id="visits"><%= session 'visits' %></span></p>
<form id="login" action="<%= url_for '/login' %>" method="post"><input name="name" id="name"> <button>Log in</button></form>
<ul id="notes">
% for my $note (@{ session('notes') // [] }) {
<li><%= $note %></li>
% }
</ul>
<form id="add" action="<%= url_for '/notes' %>" method="post"><input name="text" id="text"> <button>Add</button></form>
<form id="upload" action="<%= url_for '/upload' %>" method="post" enctype="multipart/form-data"><input type="file" name="file" id="file"> <button>Upload</button></form>
<form id="shout" hidden><input id="word"> <button>Shout</button></form>
<ol id="shouts"></ol>
<p id="ticks"></p>
%= javascript '/static/notes.js'
</body>
</html>

@@ about.html.ep
<!DOCTYPE html>
<title>About</title>
<h1>About</h1>
<ul>
% for my $line (@$lines) {
<li><%= $line %></li>
% }
</ul>
