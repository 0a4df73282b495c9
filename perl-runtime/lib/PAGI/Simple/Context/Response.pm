package PAGI::Simple::Context::Response;

use strict;
use warnings;

use Carp qw(croak);
use Encode ();
use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Simple::Callback;
use Scalar::Util qw(blessed);

our @CARP_NOT = qw(PAGI::Simple::Context PAGI::Simple::Dispatcher);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1, allow_nonref => 1, convert_blessed => 1);
my $HTML = 'text/html; charset=utf-8';
my $TEXT = 'text/plain; charset=utf-8';

# Event names differ by scope: until a WebSocket is accepted or a stream is started, its request can be answered like any
# other (WS-39, SSE-32).
my %FAMILY = (http => 'http.response', sse => 'sse.http.response', websocket => 'websocket.http.response');

# --- builders

sub status {
    my ($self, $code) = @_;
    croak 'The status must be a number from 100 to 999' unless defined $code && $code =~ /\A[1-9][0-9][0-9]\z/;
    $self->{status} = $code;
    return $self;
}

sub res_header {
    my ($self, $name, $value) = @_;
    return $self->content_type($value) if lc $name eq 'content-type';
    push @{ $self->{headers} }, [ $name, _bytes($name, $value) ];
    return $self;
}

sub header { my $self = shift; return $self->res_header(@_) }

# One field only: what is chosen here wins over the type of text, html and json.
sub content_type {
    my ($self, $type) = @_;
    $self->{type} = _bytes('content-type', $type);
    return $self;
}

sub _bytes {
    my ($name, $value) = @_;
    croak "The header '$name' needs a value" unless defined $value;
    croak "The value of the header '$name' must not contain line breaks or NUL" if $value =~ /[\r\n\0]/;
    $value = Encode::encode('UTF-8', $value) if $value =~ /[^\x00-\xff]/;
    return "$value";
}

sub cookie {
    my ($self, $name, $value, %options) = @_;
    require PAGI::Simple::CookieUtil;
    push @{ $self->{headers} }, [ 'set-cookie', PAGI::Simple::CookieUtil::format_set_cookie($name, $value, %options) ];
    return $self;
}

sub remove_cookie {
    my ($self, $name, %options) = @_;
    require PAGI::Simple::CookieUtil;
    push @{ $self->{headers} }, [ 'set-cookie', PAGI::Simple::CookieUtil::format_removal_cookie($name, %options) ];
    return $self;
}

sub cors {
    my ($self, %options) = @_;
    require PAGI::Simple::CORS;
    push @{ $self->{headers} }, PAGI::Simple::CORS->for_response(%options)->response_headers($self->{scope});
    return $self;
}

sub hx_trigger {
    my ($self, $event, %data) = @_;
    return $self->res_header('HX-Trigger', %data ? $JSON->encode({ $event => \%data }) : $event);
}

sub hx_redirect { return $_[0]->res_header('HX-Redirect', $_[1]) }
sub hx_refresh  { return $_[0]->res_header('HX-Refresh', 'true') }

# --- inspection

sub response_status { return $_[0]{status} }
sub response_size   { return $_[0]{size} || 0 }

sub response_headers {
    my ($self) = @_;
    return [ defined $self->{type} ? [ 'content-type', $self->{type} ] : (), @{ $self->{headers} } ];
}

sub response_started { return $_[0]{started} ? 1 : 0 }

sub mark_response_started {
    my ($self) = @_;
    $self->{started} = 1;
    return $self;
}

# --- terminals

sub text {
    my ($self, $text, $status) = @_;
    return $self->_send_characters($TEXT, $text, $status);
}

sub html {
    my ($self, $html, $status) = @_;
    return $self->_send_characters($HTML, $html, $status);
}

sub json {
    my ($self, $data, $status) = @_;
    croak 'Response already started' if $self->{started};
    my $bytes = $JSON->encode($data);
    $self->status($status) if defined $status;
    return $self->_send_bytes('application/json; charset=utf-8', $bytes);
}

sub _send_characters {
    my ($self, $default, $text, $status) = @_;
    croak 'Response already started' if $self->{started};
    $self->status($status) if defined $status;
    $text = defined $text ? "$text" : '';
    utf8::encode($text) if $text =~ /[^\x00-\x7f]/;
    $self->{type} .= '; charset=utf-8'
        if defined $self->{type} && $self->{type} =~ m{\Atext/}i && $self->{type} !~ /charset=/i;
    return $self->_send_bytes($default, $text);
}

sub send_utf8 {
    my ($self, $text, %options) = @_;
    my $charset = delete $options{charset};
    croak 'Unknown options to send_utf8: ' . join(', ', sort keys %options) if %options;
    croak 'Response already started' if $self->{started};
    my $type = defined $self->{type} ? $self->{type} : 'text/plain';
    if ($type =~ /charset\s*=\s*"?([^\s;"]+)/i) { $charset = $1 unless defined $charset }
    else { $type .= '; charset=' . (defined $charset ? $charset : 'utf-8') }
    my $encoding = Encode::find_encoding(defined $charset ? $charset : 'utf-8')
        or croak "Unknown encoding '$charset'";
    $self->{type} = $type;
    @{ $self->{headers} } = grep { lc $_->[0] ne 'content-length' } @{ $self->{headers} };
    return $self->_send_bytes(undef, $encoding->encode(defined $text ? "$text" : '', Encode::FB_DEFAULT));
}

sub send_response {
    my ($self, $bytes) = @_;
    croak 'Response already started' if $self->{started};
    $bytes = '' unless defined $bytes;
    croak 'send_response takes bytes; use text, html or send_utf8 for characters' if !utf8::downgrade($bytes, 1);
    return $self->_send_bytes(undef, $bytes);
}

sub redirect {
    my ($self, $url, $status) = @_;
    croak 'Response already started' if $self->{started};
    croak 'redirect needs a URL' unless defined $url && length $url;
    $url = "$url";
    utf8::encode($url) if $url =~ /[^\x00-\x7f]/;
    $url =~ s/([^\x21-\x7e])/sprintf '%%%02X', ord $1/ge;
    $self->status(defined $status ? $status : 302);
    push @{ $self->{headers} }, [ 'location', $url ];
    return $self->_send_bytes(undef, '');
}

sub redirect_to {
    my ($self, $name, %params) = @_;
    my $status = delete $params{status};
    my $url = $self->url_for($name, %params);
    croak "Cannot build a URL for the route '$name'" unless defined $url;
    return $self->redirect($url, $status);
}

sub render {
    my ($self, $template, %vars) = @_;
    return $self->html($self->_view->render_for($self, $template, %vars));
}

sub render_string {
    my ($self, $text, %vars) = @_;
    return $self->_view->render_string_for($self, $text, %vars);
}

sub render_or_redirect {
    my ($self, $url, $template, %vars) = @_;
    return $self->req->is_htmx ? $self->render($template, %vars) : $self->redirect($url);
}

sub empty_or_redirect {
    my ($self, $url) = @_;
    return $self->req->is_htmx ? $self->html('') : $self->redirect($url);
}

sub _view {
    my ($self) = @_;
    my $view = $self->{app}->view;
    croak 'No view configured: pass views => $directory to PAGI::Simple->new or call $app->views($directory)' unless $view;
    return $view;
}

sub respond_to {
    my ($self, @formats) = @_;
    require PAGI::Simple::Negotiate;
    return PAGI::Simple::Negotiate->respond($self, @formats);
}

sub stream {
    my ($self, $callback, %options) = @_;
    croak 'stream needs a callback' unless ref $callback eq 'CODE';
    my $type = delete $options{content_type};
    croak 'Unknown options to stream: ' . join(', ', sort keys %options) if %options;
    return $self->_keep($self->_stream($callback, $type));
}

sub stream_from {
    my ($self, $source, %options) = @_;
    require PAGI::Simple::StreamWriter;
    my $type = delete $options{content_type};
    my $feed = PAGI::Simple::StreamWriter->feeder($source, %options);
    return $self->_keep($self->_stream($feed, $type));
}

async sub _stream {
    my ($self, $callback, $type) = @_;
    require PAGI::Simple::StreamWriter;
    $self->{type} = $type if defined $type;
    await $self->_start($TEXT);
    my $writer = PAGI::Simple::StreamWriter->new(sub { $self->_body(@_) });
    # a response to HEAD has no body to write
    my $ok = $self->{scope}{method} && $self->{scope}{method} eq 'HEAD' ? 1 : eval {
        my $result = $callback->($writer);
        await $result if PAGI::Simple::Callback::is_future($result);
        1;
    };
    my $error = $@;
    await $writer->close;
    die $error unless $ok;
    return $self;
}

sub send_file {
    my ($self, $path, %options) = @_;
    croak 'Response already started' if $self->{started};
    require PAGI::Simple::File;
    my $file = PAGI::Simple::File->new($path, %options);
    return $self->_keep($file->send($self));
}

# --- sending

# Most responses are one start and one body event; no Future is made when the server is ready at once.
sub _send_bytes {
    my ($self, $type, $bytes) = @_;
    my $status = $self->{status};
    my $bodiless = $status == 204 || $status == 304 || $status < 200;
    my @length = $bodiless || grep({ lc $_->[0] eq 'content-length' } @{ $self->{headers} })
        ? () : [ 'content-length', length $bytes ];
    $bytes = '' if $bodiless;
    my $start = $self->_start($type, @length);
    my $body = $start->is_done
        ? $self->_body($bytes, 0)
        : $start->then(sub { $self->_body($bytes, 0) });
    return $self->_keep($body);
}

sub _start {
    my ($self, $type, @more) = @_;
    croak 'Response already started' if $self->{started};
    $self->{started} = 1;
    $type = $self->{type} = defined $self->{type} ? $self->{type} : $type;
    my @headers = (defined $type ? [ 'content-type', $type ] : (), @{ $self->{headers} }, @more);
    my $scope_type = $self->{scope}{type};
    my $event = { type => 'http.response.start', status => $self->{status}, headers => \@headers };
    return $self->{send}->($event) if !defined $scope_type || $scope_type eq 'http';
    return $self->_deny($scope_type, $event);
}

sub _deny {
    my ($self, $scope_type, $event) = @_;
    my $extensions = $self->{scope}{extensions} || {};
    # without the extension a WebSocket can only be refused, not answered
    if ($scope_type eq 'websocket' && !$extensions->{'websocket.http.response'}) {
        $self->{refused} = 1;
        return $self->{send}->({ type => 'websocket.close', code => 1008, reason => '' });
    }
    return $self->{send}->({ %$event, type => "$FAMILY{$scope_type}.start" });
}

sub _body {
    my ($self, $bytes, $more) = @_;
    my $scope = $self->{scope};
    $self->{size} += length $bytes;
    return Future->done if $self->{refused};
    $bytes = '' if defined $scope->{method} && $scope->{method} eq 'HEAD';
    my $family = $FAMILY{ defined $scope->{type} ? $scope->{type} : 'http' };
    return $self->{send}->({ type => "$family.body", body => $bytes, more => $more ? 1 : 0 });
}

# A plain handler ignores the Future; the dispatcher waits for those that are kept here.
sub _keep {
    my ($self, $future) = @_;
    push @{ $self->{pending} }, $future unless $future->is_done;
    return $future;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Context::Response - the response half of the context

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->get('/report' => sub {
        my ($c) = @_;
        $c->status(200)->res_header('cache-control', 'no-store')->cookie(seen => 1);
        $c->json({ rows => [ 1, 2, 3 ] });
    });

=head1 DESCRIPTION

The base class of L<PAGI::Simple::Context>, which lists its methods for the reader of an application. In a WebSocket or SSE scope that is
not accepted yet the same methods answer the handshake with an HTTP response; a server without the denial extension refuses the
WebSocket instead.

=head1 BUILDERS

They return the context and may be called until the response has started.

=head2 status

    $c->status(201);

Croaks unless given a number from 100 to 999. Default 200.

=head2 res_header, header

    $c->res_header('x-total', 3);

Appends a header; a content type replaces the one before. Characters above U+00FF go as UTF-8. Croaks on line breaks.

=head2 content_type

    $c->content_type('text/csv');

The type that the terminal methods then use instead of their own.

=head2 cookie, remove_cookie

    $c->cookie(theme => 'dark', max_age => 86400, httponly => 1);
    $c->remove_cookie('theme');

Append a Set-Cookie line; options in L<PAGI::Simple::CookieUtil>.

=head2 cors

    $c->cors(origin => 'https://example.org');

CORS headers for this response; options in L<PAGI::Simple::CORS>.

=head2 hx_trigger, hx_redirect, hx_refresh

    $c->hx_trigger('saved', id => 7);

The htmx response headers.

=head1 TERMINAL METHODS

They send the response and return a L<Future>, which may be ignored. Called a second time they die with C<Response already started>.

=head2 text, html

    $c->text($characters, $status);

UTF-8 with Content-Length. An explicit C<text/*> type without a charset gets C<charset=utf-8>.

=head2 json

    $c->json($data, $status);

Keys sorted; scalars at the top level are allowed; objects with C<TO_JSON> are asked.

=head2 redirect, redirect_to

    $c->redirect($url, 303);
    $c->redirect_to('user', id => 7, status => 303);

302 by default, empty body. C<redirect_to> dies with C<Cannot build a URL for the route 'NAME'>.

=head2 render, render_string, render_or_redirect, empty_or_redirect

    $c->render('users/list', users => \@users);
    my $html = $c->render_string('Hello [% name %]', name => 'Ann');

With the view (L<PAGI::Simple::View>); die with C<No view configured...> without one. C<render_string> returns characters and sends
nothing. The last two answer htmx requests with the template, or an empty page, and redirect all others to the URL.

=head2 respond_to

    $c->respond_to(json => { data => $data }, html => sub { $c->render('page') }, any => sub { $c->text('?') });

See L<PAGI::Simple::Negotiate>.

=head2 stream, stream_from

    $c->stream(async sub { my ($writer) = @_; await $writer->writeln("line $_") }, content_type => 'text/plain');
    $c->stream_from(\@chunks, delay => 0.5);

See L<PAGI::Simple::StreamWriter>.

=head2 send_file

    $c->send_file('/srv/report.pdf', filename => 'report.pdf', inline => 1);

See L<PAGI::Simple::File>.

=head2 send_utf8

    $c->send_utf8($characters, charset => 'iso-8859-1');

Encodes, makes sure the type has a charset (one that is there decides) and sets Content-Length.

=head2 send_response

    $c->send_response($bytes);

Status, headers and body as they are.

=head1 INSPECTION

=head2 response_status, response_headers, response_size

The status, an arrayref of header pairs, the bytes of body handed to the server so far.

=head2 response_started, mark_response_started

1 once a response began; C<mark_response_started> says so after sending one with C<< $c->send >>.

=cut
