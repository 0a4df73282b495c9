package PAGI::Test::Client;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use JSON::MaybeXS ();
use PAGI::Test::ConnectionState;
use PAGI::Test::Lifespan;
use PAGI::Test::Pairs;
use PAGI::Test::Response;
use PAGI::Test::SSE;
use PAGI::Test::WebSocket;
use PAGI::Utils ();
use Scalar::Util qw(blessed);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1, allow_nonref => 1);

my $READ_SIZE = 65_536;    # bytes

sub new {
    my ($class, %args) = @_;
    croak 'app is required' unless defined $args{app};
    return bless {
        app                  => PAGI::Utils::to_app($args{app}),
        headers              => [PAGI::Test::Pairs::of($args{headers})],
        lifespan             => $args{lifespan} ? 1 : 0,
        raise_app_exceptions => $args{raise_app_exceptions} ? 1 : 0,
        cookies              => {},
        state                => undef,
        started              => 0,
        _lifespan            => undef,
    }, $class;
}

sub get     { my $self = shift; return $self->_request('GET',     @_) }
sub head    { my $self = shift; return $self->_request('HEAD',    @_) }
sub post    { my $self = shift; return $self->_request('POST',    @_) }
sub put     { my $self = shift; return $self->_request('PUT',     @_) }
sub patch   { my $self = shift; return $self->_request('PATCH',   @_) }
sub delete  { my $self = shift; return $self->_request('DELETE',  @_) }
sub options { my $self = shift; return $self->_request('OPTIONS', @_) }

sub cookies { return $_[0]{cookies} }
sub cookie  { return $_[0]{cookies}{ $_[1] } }

sub set_cookie {
    my ($self, $name, $value) = @_;
    $self->{cookies}{$name} = $value;
    return $self;
}

sub clear_cookies {
    my ($self) = @_;
    %{ $self->{cookies} } = ();
    return $self;
}

sub state { return $_[0]{state} || {} }

sub websocket {
    my ($self, $path, @rest) = @_;
    my $callback = _callback_of(\@rest);
    my %options = @rest;
    my $ws = $self->_connect_websocket(
        $self->_request_for($path, \%options), $options{subprotocols} || [], $options{decline_ok},
    );
    return $callback ? _use_and_close($ws, $callback) : $ws;
}

sub sse {
    my ($self, $path, @rest) = @_;
    my $callback = _callback_of(\@rest);
    my %options = @rest;
    my $method = uc(defined $options{method} ? $options{method} : 'GET');
    # The request's own headers may still name another type; the client-wide defaults may not (SSE-1).
    my $request = $self->_request_for($path, \%options, [['accept', 'text/event-stream']]);
    $request->{method} = $method;
    my $sse = $self->_connect_sse($request, $options{decline_ok});
    return $callback ? _use_and_close($sse, $callback) : $sse;
}

sub start {
    my ($self) = @_;
    return $self if !$self->{lifespan} || $self->{started};

    $self->{state} = {};
    my $lifespan = PAGI::Test::Lifespan->new(app => $self->{app}, state => $self->{state});
    $lifespan->startup;
    $self->{_lifespan} = $lifespan;
    $self->{started} = 1;
    return $self;
}

sub stop {
    my ($self) = @_;
    return $self unless $self->{started};
    $self->{started} = 0;
    (delete $self->{_lifespan})->shutdown;
    return $self;
}

sub run {
    my ($class, $app, $callback) = @_;
    my $client = $class->new(app => $app, lifespan => 1)->start;
    my $ok = eval { $callback->($client); 1 };
    my $error = $@;
    $client->stop;
    die $error unless $ok;
    return;
}

sub _callback_of {
    my ($rest) = @_;
    return @$rest % 2 && ref $rest->[-1] eq 'CODE' ? pop @$rest : undef;
}

sub _use_and_close {
    my ($connection, $callback) = @_;
    my $ok = eval { $callback->($connection); 1 };
    my $error = $@;
    $connection->close unless $connection->is_closed;
    die $error unless $ok;
    return;
}

# One HTTP request from the caller's options to the response; _exchange is the part that depends on the transport.
sub _request {
    my ($self, $method, $path, %options) = @_;

    my $request = $self->_request_for($path, \%options);
    $request->{method} = $method;
    $self->_add_body($request, \%options);
    my $response = $self->_exchange($request);
    $self->_store_cookies($response) unless defined $response->exception;
    return $response;
}

sub _request_for {
    my ($self, $path, $options, @defaults) = @_;

    $path = '/' unless defined $path;
    ($path, my $query) = split /\?/, $path, 2;
    my $added = PAGI::Test::Pairs::urlencode(PAGI::Test::Pairs::of($options->{query}));
    $query = join '&', grep { defined && length } $query, $added;

    my @headers = PAGI::Test::Pairs::merge_headers(
        [['host', 'testserver']], $self->{headers}, @defaults, [PAGI::Test::Pairs::of($options->{headers})],
    );
    if (my $jar = join '; ', map { "$_=$self->{cookies}{$_}" } sort keys %{ $self->{cookies} }) {
        # All cookies in one line, as servers present them (HDR-6).
        my @own = map { $_->[1] } grep { $_->[0] eq 'cookie' } @headers;
        @headers = ((grep { $_->[0] ne 'cookie' } @headers), ['cookie', join '; ', @own, $jar]);
    }
    return { path => defined $path ? $path : '', query_string => $query, headers => \@headers, body => '' };
}

sub _add_body {
    my ($self, $request, $options) = @_;

    my ($body, $type);
    if (exists $options->{json}) {
        ($body, $type) = ($JSON->encode($options->{json}), 'application/json');
    }
    elsif (exists $options->{form}) {
        $body = PAGI::Test::Pairs::urlencode(PAGI::Test::Pairs::of($options->{form}));
        $type = 'application/x-www-form-urlencoded';
    }
    elsif (defined $options->{body}) {
        $body = $options->{body};
    }
    else {
        return;
    }

    my $headers = $request->{headers};
    my %has = map { $_->[0] => 1 } @$headers;
    push @$headers, ['content-type', $type] if defined $type && !$has{'content-type'};
    # The client made json and form bodies itself, so it knows their length better than a header given by the test.
    @$headers = grep { $_->[0] ne 'content-length' } @$headers if defined $type;
    push @$headers, ['content-length', length $body] if defined $type || !$has{'content-length'};
    $request->{body} = $body;
    return;
}

sub _store_cookies {
    my ($self, $response) = @_;
    for my $line ($response->header_all('set-cookie')) {
        my ($name, $value) = $line =~ /\A\s*([^=;\s]+)\s*=\s*([^;]*)/ or next;
        $value =~ s/\s+\z//;
        $self->{cookies}{$name} = $value;
    }
    return;
}

sub _scope {
    my ($self, $type, $scheme, $request) = @_;
    return {
        type         => $type,
        pagi         => { version => '0.2', spec_version => '0.2' },
        http_version => '1.1',
        scheme       => $scheme,
        path         => $request->{path},
        query_string => $request->{query_string},
        root_path    => '',
        headers      => $request->{headers},
        client       => ['127.0.0.1', 12_345],
        server       => ['testserver', 80],
        defined $request->{method} ? (method => $request->{method}) : (),
        $self->{started} ? (state => $self->{state}) : (),
    };
}

sub _connect_websocket {
    my ($self, $request, $subprotocols, $decline_ok) = @_;
    my $scope = $self->_scope('websocket', 'ws', $request);
    $scope->{subprotocols} = [@$subprotocols];
    $scope->{extensions} = { 'websocket.http.response' => {} } if $decline_ok;
    return PAGI::Test::WebSocket->new(app => $self->{app}, scope => $scope, decline_ok => $decline_ok)->_start;
}

sub _connect_sse {
    my ($self, $request, $decline_ok) = @_;
    my $scope = $self->_scope('sse', 'http', $request);
    return PAGI::Test::SSE->new(app => $self->{app}, scope => $scope, decline_ok => $decline_ok)->_start;
}

sub _exchange {
    my ($self, $request) = @_;

    my $connection = PAGI::Test::ConnectionState->new;
    my $scope = $self->_scope('http', 'http', $request);
    $scope->{'pagi.connection'} = $connection;

    my @events;
    my $terminal = _terminal_event_finder($connection);
    my $body_read = 0;
    my $receive = sub {
        return Future->done({ type => 'http.disconnect' }) if $body_read++;
        return Future->done({ type => 'http.request', body => $request->{body}, more => 0 });
    };
    my $send = sub {
        my $event = { %{ $_[0] } };
        eval { _inline_body($event, $request->{method}); 1 } or return Future->fail($@);
        $connection->_mark_response_started if $event->{type} eq 'http.response.start';
        $terminal->($event);
        push @events, $event;
        return Future->done;
    };

    my $ok = eval {
        my $future = $self->{app}->($scope, $receive, $send);
        die "The application did not return a Future\n" unless blessed $future && $future->isa('Future');
        $future->get;
        1;
    };
    if (!$ok) {
        my $error = $@;
        $connection->_mark_response_started;
        $connection->_mark_disconnected('server_error');
        die $error if $self->{raise_app_exceptions};
        return PAGI::Test::Response->new(
            status    => 500,
            headers   => [['content-type', 'text/plain']],
            body      => 'Internal Server Error',
            exception => $error,
        );
    }

    die "App returned without sending response. Did you forget to 'await' your \$send calls? "
        . "See PAGI::Tutorial section on async patterns.\n" unless $connection->response_started;
    # RESP-5, RESP-8: a response left unfinished is an abnormal end.
    $connection->response_complete ? $connection->_mark_complete : $connection->_mark_disconnected('server_error');
    return _assemble(\@events);
}

# Sets the completion flag at the event that finishes the response (RESP-4).
sub _terminal_event_finder {
    my ($connection) = @_;
    my ($started, $trailers);
    return sub {
        my ($event) = @_;
        if ($event->{type} eq 'http.response.start') {
            ($started, $trailers) = (1, $event->{trailers}) unless $started;
        }
        elsif ($event->{type} eq 'http.response.body') {
            $connection->_mark_response_complete if $started && !$event->{more} && !$trailers;
        }
        elsif ($event->{type} eq 'http.response.trailers') {
            $connection->_mark_response_complete if $started && $trailers;
        }
        return;
    };
}

# Files are read while the event is being sent: afterwards the app may close its handle or delete the file (BODY-11).
sub _inline_body {
    my ($event, $method) = @_;
    return unless $event->{type} eq 'http.response.body';

    if ($method eq 'HEAD') {
        delete @$event{qw(file fh offset length)};
        $event->{body} = '';
        return;
    }
    my $handle = delete $event->{fh};
    my $file   = delete $event->{file};
    if (defined $file) {
        # as the server says it (AMB-14): what a test passes must not fail there
        die "http.response.body 'file' must be an absolute path, got '$file'\n" unless $file =~ m{\A/};
        open $handle, '<:raw', $file or die "Cannot open $file: $!\n";
    }
    return unless defined $handle;
    $event->{body} = _read_range($handle, @$event{qw(offset length)});
    $event->{more} = 0;    # BODY-3
    return;
}

sub _read_range {
    my ($handle, $offset, $length) = @_;

    if ($offset) {
        seek $handle, $offset, 0 or die "Cannot seek to $offset: $!\n";
    }
    my $bytes = '';
    while (!defined $length || length $bytes < $length) {
        my $wanted = defined $length && $length - length $bytes < $READ_SIZE ? $length - length $bytes : $READ_SIZE;
        my $got = read $handle, $bytes, $wanted, length $bytes;
        die "Cannot read the file of the response: $!\n" unless defined $got;
        last unless $got;
    }
    return $bytes;
}

sub _assemble {
    my ($events) = @_;

    my ($start, $done);
    my $body = '';
    for my $event (@$events) {
        if ($event->{type} eq 'http.response.start') {
            $start ||= $event;
        }
        elsif ($event->{type} eq 'http.response.body' && $start && !$done) {
            $body .= $event->{body} if defined $event->{body};
            $done = !$event->{more};
        }
    }
    return PAGI::Test::Response->new(
        status  => $start->{status},
        headers => [map { [@$_] } @{ $start->{headers} || [] }],
        body    => $body,
    );
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Test::Client - drive an app without a server

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Request;
    use PAGI::Response;
    use PAGI::Test::Client;
    use Test::More;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        my $request = PAGI::Request->new($scope, $receive);
        my $data    = await $request->json;
        await PAGI::Response->json({ hello => $data->{name} }, status => 201)->respond($send);
    };

    my $client   = PAGI::Test::Client->new(app => $app);
    my $response = $client->post('/greetings', json => { name => 'Ann' });

    is $response->status, 201, 'created';
    is $response->json->{hello}, 'Ann', 'greeted by name';
    done_testing;

=head1 DESCRIPTION

Calls an app in the same process with a scope, a C<$receive> and a C<$send> made for the purpose, and hands back what the app
sent. There is no socket and no server, and every method is synchronous: Futures are resolved on the way. An app that waits
on timers or handles needs L<Future::IO> with an implementation such as L<Future::IO::Impl::IOAsync>.

Not modelled: request bodies in several pieces, a client that leaves during the request, trailers, transport framing, TLS,
HTTP/2, back-pressure, C<pagi.transport>. Scopes have no C<raw_path>.

=head1 CONSTRUCTOR

=head2 new

    my $client = PAGI::Test::Client->new(
        app                  => $app,                     # required
        headers              => { 'X-Api-Key' => 'k' },   # for every request
        lifespan             => 0,
        raise_app_exceptions => 0,
    );

=over

=item app

A code reference, an object with C<to_app> or a class name: see L<PAGI::Utils/to_app>, whose errors pass through. Croaks
C<app is required> without.

=item headers

Headers for every request, in any of the L</SHAPES>.

=item lifespan

Makes C<start> and C<stop> work; without it both do nothing.

=item raise_app_exceptions

Rethrow what the app dies with in an HTTP request, instead of answering 500.

=back

=head1 HTTP REQUESTS

=head2 get, head, post, put, patch, delete, options

    my $response = $client->get($path, %options);

Each returns a L<PAGI::Test::Response>. The path defaults to C</>. What follows its first C<?> is the query string; the rest
is put into the scope as it is, without decoding. Options, unknown ones being ignored:

=over

=item headers

Headers of this request, in any of the L</SHAPES>. A name given here replaces all default headers of that name, C<host>
(C<testserver>) included.

=item query

Parameters appended to the query string, in any of the L</SHAPES>.

=item json

Data to send as JSON. Content-Type defaults to C<application/json>; Content-Length is set.

=item form

Fields to send urlencoded, in any of the L</SHAPES>. Content-Type defaults to C<application/x-www-form-urlencoded>;
Content-Length is set.

=item body

Bytes to send as they are. Content-Length is added unless given. C<json> goes before C<form>, C<form> before C<body>.

=back

An app that dies yields status 500, C<Internal Server Error> as C<text/plain> and the error in
L<PAGI::Test::Response/exception>, even when it had begun to answer. An app that returns without an C<http.response.start>
makes the request method die:

    App returned without sending response. Did you forget to 'await' your $send calls? See PAGI::Tutorial section on async patterns.

Files and handles in body events are read while they are sent. C<pagi.connection> in the scope is a
L<PAGI::Test::ConnectionState>: C<on_complete> callbacks run after the app has returned, C<on_disconnect> callbacks (reason
C<server_error>) when it died or left the response unfinished.

=head2 SHAPES

Headers, query and form may be a hash of scalars, a hash whose values are arrayrefs (repeated names), or an arrayref of
C<[name, value]> pairs (order kept). Hashes are sent sorted by name; undef is sent as an empty string. Text in C<query> and
C<form> is characters and travels as UTF-8. Nothing you pass in is changed. Other input croaks
C<Expected hashref or arrayref of pairs, got TYPE> or C<Expected arrayref of [key, value] pairs>.

=head1 COOKIES

After every response the name and value of each Set-Cookie line are kept and sent with all later requests, WebSocket and SSE
included. Attributes are ignored: a cookie deleted by the app stays, with an empty value.

=head2 cookies

The jar, a hashref.

=head2 cookie

    my $value = $client->cookie($name);

=head2 set_cookie

    $client->set_cookie($name => $value);

Returns the client.

=head2 clear_cookies

Empties the jar. Returns the client.

=head1 WEBSOCKET AND SSE

=head2 websocket

    my $ws = $client->websocket($path, %options);
    $client->websocket($path, %options, sub { my ($ws) = @_; ... });

Connects and returns a L<PAGI::Test::WebSocket>. With a callback, calls it with that object, closes it afterwards if it is still
open, passes on the callback's exception and returns nothing. Options: C<headers>, C<query>, C<subprotocols> (arrayref), and

=over

=item decline_ok

An app that does not accept normally makes the call croak C<WebSocket connection not accepted>. With a true value you
get the closed object instead, whose C<response> tells what the app answered, and the scope offers the denial
extension C<websocket.http.response>.

=back

=head2 sse

    my $sse = $client->sse($path, %options);
    $client->sse($path, %options, sub { my ($sse) = @_; ... });

The same for a stream of server-sent events, a L<PAGI::Test::SSE>. Options: C<headers>, C<query>, C<method> (C<GET>, upper-cased)
and C<decline_ok>. Croaks C<SSE connection not started>.

=head1 LIFESPAN

=head2 start

Runs the startup of the app. Returns the client. Without C<lifespan>, or a second time, it does nothing. Dies with the app's
own exception, with the C<message> of C<lifespan.startup.failed>, or with

    PAGI lifespan app returned without sending lifespan.startup.complete or lifespan.startup.failed
    PAGI lifespan startup did not complete within 5 seconds

Mind the difference: a server takes an app that dies or returns here for one without lifespan support, and goes on.

=head2 stop

Runs the shutdown; its outcome is not checked. Returns the client.

=head2 state

The state hashref (C<{}> before C<start>). It is kept after C<stop>. Requests get this very hash, where a server gives each
a shallow copy.

=head2 run

    PAGI::Test::Client->run($app, sub { my ($client) = @_; ... });

Client with lifespan, C<start>, callback, C<stop>, also when the callback died; its exception passes through.

=head1 SEE ALSO

L<PAGI::Test::Response>, L<PAGI::Test::WebSocket>, L<PAGI::Test::SSE>, L<PAGI::Lifespan>

=cut
