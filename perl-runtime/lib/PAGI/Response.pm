package PAGI::Response;

use strict;
use warnings;

use parent 'PAGI::Response::Head';

use Carp qw(croak);
use Encode ();
use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Headers;
use Scalar::Util qw(blessed);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1, allow_nonref => 1, convert_blessed => 1);

sub new {
    my ($class, $scope, $send) = @_;
    croak 'scope must be a hashref' if defined $scope && ref $scope ne 'HASH';
    my $self = bless { _headers => PAGI::Headers->new }, $class;
    $self->{scope} = $scope if $scope;
    # Release 0.001 passed $send here and awaited the body method; see "Awaiting a response"
    $self->{send} = $send if ref $send eq 'CODE';
    return $self;
}

# Body methods work on an object or, called on the class, make one.
sub _self { ref $_[0] ? $_[0] : $_[0]->new }

# --- body

my @COMMON_OPTIONS = qw(status content_type headers);

sub _apply {
    my ($self, $options, @own) = @_;
    my %known = map { $_ => 1 } @COMMON_OPTIONS, @own;
    for my $key (sort keys %$options) {
        croak "Unknown response option '$key' (known: " . join(', ', @own, @COMMON_OPTIONS) . ')' unless $known{$key};
    }
    my $pairs = $options->{headers};
    croak 'headers must be an even-length arrayref [ name => value, ... ]'
        if defined $pairs && (ref $pairs ne 'ARRAY' || @$pairs % 2);

    $self->status($options->{status})             if defined $options->{status};
    $self->content_type($options->{content_type}) if exists $options->{content_type};
    for (my $i = 0; $pairs && $i < @$pairs; $i += 2) {
        $self->header($pairs->[$i], $pairs->[ $i + 1 ]);
    }
    return $self;
}

# A default type only where none is set; text types get the charset, JSON never has one (RFC 8259 11).
sub _set_body {
    my ($self, $bytes, $type, $charset) = @_;
    $self->{_body} = $bytes;
    return $self unless defined $type;

    my $current = $self->{_headers}->get('content-type');
    if (!defined $current) {
        $type .= "; charset=$charset" if defined $charset && $type ne 'application/json';
        $self->{_headers}->add('content-type', $type);
    }
    elsif (defined $charset
        && $current !~ /charset=/i
        && $current !~ m{\A\s*(?:application/json|[^;\s]+\+json)\s*(?:;|\z)}i) {
        $self->content_type("$current; charset=$charset");
    }
    return $self;
}

sub _options {
    my ($options) = @_;
    croak 'Response options must be name => value pairs (known: ' . join(', ', @COMMON_OPTIONS) . ')' if @$options % 2;
    return {@$options};
}

my $UTF8 = Encode::find_encoding('UTF-8');

sub _utf8 {
    my ($text) = @_;
    return '' unless defined $text;
    $text = "$text";
    return $UTF8->encode($text, Encode::FB_CROAK) if $text =~ /[^\x00-\x7f]/;
    utf8::downgrade($text);
    return $text;
}

sub text {
    my ($self, $text, @options) = @_;
    $self = $self->_self;
    $self->_apply(_options(\@options)) if @options;
    return $self->_set_body(_utf8($text), 'text/plain', 'utf-8');
}

sub html {
    my ($self, $text, @options) = @_;
    $self = $self->_self;
    $self->_apply(_options(\@options)) if @options;
    return $self->_set_body(_utf8($text), 'text/html', 'utf-8');
}

sub json {
    my ($self, $data, @options) = @_;
    $self = $self->_self;
    $self->_apply(_options(\@options)) if @options;
    return $self->_set_body($JSON->encode($data), 'application/json', 'utf-8');
}

sub send {
    my ($self, $text, %options) = @_;
    $self = $self->_self;
    my $charset = defined $options{charset} ? $options{charset} : 'utf-8';
    my $encoding = Encode::find_encoding(lc $charset eq 'utf-8' ? 'UTF-8' : $charset)
        or croak "Unknown encoding '$charset'";
    my $bytes = defined $text ? $encoding->encode("$text", Encode::FB_CROAK) : '';
    return $self->_set_body($bytes, 'text/plain', $charset);
}

sub send_raw {
    my ($self, $bytes, @options) = @_;
    $self = $self->_self;
    $self->_apply(_options(\@options)) if @options;
    return $self->_set_body(defined $bytes ? $bytes : '');
}

sub empty {
    my ($self, @options) = @_;
    $self = $self->_self;
    $self->_apply(_options(\@options)) if @options;
    return $self->status_try(204)->_set_body('');
}

sub redirect {
    my ($self, $url, $status) = @_;
    $self = $self->_self;
    croak 'redirect() requires a URL' unless defined $url;
    $self->{_headers}->set('location', $url);
    return $self->status(defined $status ? $status : 302)->_set_body('');
}

sub stream {
    my ($self, $callback) = @_;
    $self = $self->_self;
    croak 'stream() requires a coderef' unless ref $callback eq 'CODE';
    $self->{_stream} = $callback;
    return $self;
}

sub send_file {
    my ($self, $path, @options) = @_;
    $self = $self->_self;
    my $options = _options(\@options);
    require PAGI::Response::File;
    my $file = PAGI::Response::File->new($path, map { $_ => $options->{$_} } qw(offset length));
    $self->_apply($options, qw(filename inline offset length));

    my $headers = $self->{_headers};
    $headers->set_default('content-type', $file->content_type);
    $headers->set('content-length', $file->length);
    my $disposition = $options->{inline}           ? 'inline'
                    : defined $options->{filename} ? $file->disposition($options->{filename})
                    :                                undef;
    $headers->set('content-disposition', $disposition) if defined $disposition;
    $self->{_file} = $file;
    return $self;
}

# --- sending

# Headers as built; for a body of known length with the one computed length. With 204 there is none (STAT-1), with 304 it would
# describe the other response, so only one the application gave stays.
sub _start_event {
    my ($self, $length) = @_;
    my $status = defined $self->{_status} ? $self->{_status} : 200;
    my $pairs = $self->{_headers}->to_pairs;
    if (defined $length) {
        $pairs = [
            grep {
                my $name = lc $_->[0];
                $name ne 'transfer-encoding' && ($name ne 'content-length' || $status == 304);
            } @$pairs
        ];
        push @$pairs, [ 'content-length', $length ] unless $status == 204 || $status == 304;
    }
    return { type => 'http.response.start', status => $status, headers => $pairs };
}

# The usual case has no async sub of its own: with a server that answers sends at once (SEND-15) it costs two calls.
sub respond {
    my ($self, $send) = @_;
    return Future->fail(Carp::shortmess('send must be a coderef')) unless ref $send eq 'CODE';
    return $self->_respond_stream($send) if $self->{_stream};

    my ($start, $body);
    if (my $file = $self->{_file}) {
        ($start, $body) = ($self->_start_event, $file->event);
    }
    else {
        my $bytes = defined $self->{_body} ? $self->{_body} : '';
        $start = $self->_start_event(length $bytes);
        $body  = { type => 'http.response.body', body => $bytes, more => 0 };
    }
    my $sent = eval { $send->($start) } or return Future->fail($@ || 'send returned no Future');
    return _respond_rest($sent, $send, $body) unless _is_done($sent);

    $sent = eval { $send->($body) } or return Future->fail($@ || 'send returned no Future');
    return _is_done($sent) ? Future->done : _respond_rest($sent);
}

# False also for what is awaitable without being a Future.
sub _is_done {
    my ($sent) = @_;
    return blessed $sent && $sent->isa('Future') && $sent->is_done;
}

async sub _respond_rest {
    my ($started, $send, $body) = @_;
    await $started;
    await $send->($body) if $send;
    return;
}

async sub _respond_stream {
    my ($self, $send) = @_;
    await $send->($self->_start_event);
    require PAGI::Response::Writer;
    my $writer = PAGI::Response::Writer->new($send);
    my $done = eval {
        my $result = $self->{_stream}->($writer);
        await $result if blessed $result && $result->isa('Future');
        1;
    };
    if (!$done) {
        my $error = $@;
        await $writer->_abort;
        die $error;
    }
    await $writer->close;
    return;
}

sub to_app {
    my ($self) = @_;
    return sub { $self->respond($_[2]) };
}

async sub writer {
    my ($self, $send, %options) = @_;
    croak 'send must be a coderef' unless ref $send eq 'CODE';
    croak 'Response already sent' if $self->{_writer_made};
    $self->{_writer_made} = 1;
    require PAGI::Response::Writer;
    my $writer = PAGI::Response::Writer->new($send);
    $writer->on_close($options{on_close}) if $options{on_close};
    await $send->($self->_start_event);
    return $writer;
}

# --- awaiting a response: the contract of release 0.001, "await $ctx->response->json(...)"

# Set by PAGI::Context for the response it owns.
sub _bind_context {
    my ($self, $context) = @_;
    Scalar::Util::weaken($self->{context} = $context);
    return $self;
}

sub _awaited {
    my ($self) = @_;
    return $self->{awaited} ||= do {
        my $context = $self->{context};
        $context       ? $context->respond($self)
      : $self->{send}  ? $self->respond($self->{send})
      :                  croak 'This response has no connection to be awaited on: return it, or await $response->respond($send)';
    };
}

# Future::AsyncAwait hands the awaited object itself to the outer Future's on_cancel, which takes Futures and code.
use overload '&{}' => sub { my ($self) = @_; sub { $self->_awaited->cancel } }, fallback => 1;

sub AWAIT_CLONE        { $_[0]->_awaited->AWAIT_CLONE }
sub AWAIT_IS_READY     { $_[0]->_awaited->AWAIT_IS_READY }
sub AWAIT_IS_CANCELLED { $_[0]->_awaited->AWAIT_IS_CANCELLED }
sub AWAIT_ON_READY     { my $f = shift->_awaited; $f->AWAIT_ON_READY(@_) }
sub AWAIT_CHAIN_CANCEL { my $f = shift->_awaited; $f->AWAIT_CHAIN_CANCEL(@_) }

# The next await of the same object sends again what it holds then.
sub AWAIT_GET {
    my ($self) = @_;
    my $future = delete $self->{awaited};
    return $future->AWAIT_GET;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Response - an http response as a value

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Response;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        die "Unsupported scope type: $scope->{type}" unless $scope->{type} eq 'http';

        my $response = $scope->{path} eq '/'
            ? PAGI::Response->json({ hello => 'world' })
            : PAGI::Response->text("Not Found\n", status => 404);

        $response->header('X-Served-By' => 'me')->cookie(seen => 1, path => '/', httponly => 1);
        await $response->respond($send);
    };

=head1 DESCRIPTION

Status, headers and one body source. Building a response never sends anything; L</respond> sends it and leaves the object as it
was, so one value can be sent many times, be mounted as an application with L</to_app>, or be returned from a handler.

Methods marked I<future> return a L<Future>; their errors are failed Futures. The others return at once, and setters return
the object so that calls can be chained.

=head1 CONSTRUCTOR

=head2 new

    my $response = PAGI::Response->new;
    my $response = PAGI::Response->new($scope);

The scope is optional and serves C<scope>, C<is_sent> and L<PAGI::Stash> only. Another defined value dies with
C<scope must be a hashref>. A coderef as second argument is the C<$send> of L</"Awaiting a response">.

=head1 STATUS AND HEADERS

C<status>, C<header>, C<headers>, C<content_type>, C<cookie>, C<cors>, C<is_sent> and their relatives are described in L<PAGI::Response::Head>.

=head1 BODY

These are object methods, or constructors when called on the class. Except where noted they take trailing options:

    PAGI::Response->text('No', status => 403, content_type => 'text/x-note', headers => [ 'X-Why' => 'because' ]);

C<content_type> replaces, C<headers> (a flat arrayref) appends. An unknown option dies with C<Unknown response option 'KEY'
(known: status, content_type, headers)>, an odd list with C<headers must be an even-length arrayref [ name =E<gt> value, ... ]>.

The type given below is used when none is set; one set by an earlier body method counts. C<text>, C<html>, C<json> and C<send>
then add the charset to a type without one, except JSON types.

=head2 text

    $response->text($characters, %options);

C<text/plain; charset=utf-8>. Undef is an empty body. Characters that UTF-8 cannot express die.

=head2 html

The same as C<text/html; charset=utf-8>.

=head2 json

    $response->json($data, %options);

C<application/json>: canonical (sorted) UTF-8 JSON of any data, plain values included; objects need a C<TO_JSON> method.

=head2 send

    $response->send($characters, charset => 'iso-8859-1');

Encoded with the charset (default C<utf-8>), C<text/plain; charset=CHARSET>. Takes no trailing options. Characters that the
charset lacks die, as does C<Unknown encoding 'NAME'>.

=head2 send_raw

    $response->send_raw($bytes, %options);

As they are, without a type.

=head2 empty

    $response->empty(%options);

No content; status 204 unless set.

=head2 redirect

    $response->redirect('/login', 303);

Sets C<location> and the status, by default 302. No trailing options. The URL is bytes, already encoded.

=head2 stream

    $response->stream(async sub { my ($writer) = @_; await $writer->write('...') });

The callback runs when the response is sent, with a L<PAGI::Response::Writer>; a Future it returns is awaited, then the writer
is closed. If it dies the response stays visibly incomplete. No trailing options.

=head2 send_file

    $response->send_file('/srv/files/a.pdf', filename => 'report.pdf');

The server streams the file. A relative path is one from the current directory. Options: C<filename> (characters; makes it a download of that name), C<inline> (1 sends C<inline>
and ignores C<filename>), C<offset> (bytes, 0), C<length> (bytes, rest of the file), and the trailing options. The type comes from
the extension. Dies with the messages of L<PAGI::Response::File/new>. A later call replaces an earlier one.

=head1 SENDING

=head2 respond

    await $response->respond($send);

I<future>, resolves to nothing. A stream comes before a file, a file before bytes. Bytes go out with a computed C<content-length>
(replacing one set by hand, and C<transfer-encoding>), except with status 204, which must not have one, and 304, where one set by
hand stays. Subclasses may override this method and call it through C<SUPER>. Fails with C<send must be a coderef>.

=head2 to_app

    my $app = $response->to_app;

An application that always gives this response.

=head2 writer

    my $writer = await $response->writer($send, on_close => sub { ... });

I<future>. Sends the start event now and resolves to a L<PAGI::Response::Writer> that the caller closes. Fails with C<send must
be a coderef> and, the second time, C<Response already sent>.

=head2 Awaiting a response

In release 0.001 body methods sent at once: C<< await $ctx->response->json(...) >>. That still works for the response of a
L<PAGI::Context> and for C<< PAGI::Response->new($scope, $send) >>: awaiting the object sends it. Any other response dies with
C<This response has no connection to be awaited on: ...>. The methods whose names begin with C<AWAIT_> exist for that.

=head1 SEE ALSO

L<PAGI::Response::Writer>, L<PAGI::Headers>, L<PAGI::Context>

=cut
