package Drive;

# Runs an application against a stand-in for the server that is as strict as the
# protocol asks a server to be: a wrong or misplaced event fails its send
# (EVT-3, SEND-11), so middleware that garbles a response is noticed here.

use strict;
use warnings;

use Exporter qw(import);
use Future;
use Scalar::Util qw(blessed);

our @EXPORT = qw(http_scope ws_scope sse_scope drive hello_app respond_app);

sub _common {
    return (
        pagi         => { version => '0.5', spec_version => '0.4' },
        http_version => '1.1',
        path         => '/',
        raw_path     => '/',
        query_string => '',
        root_path    => '',
        headers      => [ [ 'host', 'testserver' ] ],
        client       => [ '127.0.0.1', 40112 ],
        server       => [ '127.0.0.1', 5000 ],
        state        => {},
    );
}

sub _over {
    my ($scope, %over) = @_;
    $over{raw_path} = $over{path} if !exists $over{raw_path} && exists $over{path} && defined $over{path} && $over{path} !~ /[^\x21-\x7e]|%/;
    delete $scope->{raw_path} if exists $over{path};
    my $more = delete $over{add_headers};
    my %all = (%$scope, %over);
    $all{headers} = [ @{ $all{headers} }, @$more ] if $more;
    return \%all;
}

sub http_scope { return _over({ _common(), type => 'http', method => 'GET', scheme => 'http' }, @_) }
sub sse_scope {
    return _over({ _common(), type => 'sse', method => 'GET', scheme => 'http',
        headers => [ [ 'host', 'testserver' ], [ 'accept', 'text/event-stream' ] ] }, @_);
}
sub ws_scope {
    return _over({ _common(), type => 'websocket', scheme => 'ws', subprotocols => [],
        extensions => { 'websocket.http.response' => {} } }, @_);
}

sub respond_app {
    my ($status, $headers, $body) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $send->({ type => 'http.response.start', status => $status, headers => $headers })
            ->then(sub { $send->({ type => 'http.response.body', body => $body, more => 0 }) });
    };
}

sub hello_app { return respond_app(200, [ [ 'content-type', 'text/plain' ] ], 'Hello, World!') }

# Options: receive => [events], then the disconnect event for ever; slow => 1 lets
# every send and receive stay pending for a turn.
sub drive {
    my ($app, $scope, %option) = @_;
    my $self = bless {
        type => $scope->{type}, method => $scope->{method} // '', scope => $scope,
        sent => [], pending => [], rejected => [], sending => 0, phase => 'new', length => 0,
        slow => $option{slow}, extensions => $scope->{extensions} || {},
    }, __PACKAGE__;

    my %first = (
        http => [ { type => 'http.request', body => '', more => 0 } ],
        sse  => [ { type => 'sse.request',  body => '', more => 0 } ],
        websocket => [ { type => 'websocket.connect' } ],
        lifespan  => [ { type => 'lifespan.startup' }, { type => 'lifespan.shutdown' } ],
    );
    my %end = (
        http => { type => 'http.disconnect' },
        sse  => { type => 'sse.disconnect', reason => 'client_closed' },
        websocket => { type => 'websocket.disconnect', code => 1001, reason => '' },
        lifespan  => { type => 'lifespan.shutdown' },
    );
    my @queue = @{ $option{receive} // $first{ $scope->{type} } };
    my $receive = sub {
        return $self->_later({ %{ @queue ? shift @queue : $end{ $scope->{type} } } });
    };
    my $send = sub { return $self->_accept($_[0]) };

    my $future = eval { $app->($scope, $receive, $send) };
    if (!defined $future) { $self->{error} = $@; return $self }
    $self->{future} = $future;
    if (!(blessed $future && $future->isa('Future'))) { $self->{error} = "not a Future\n"; return $self }
    $self->turn while !$future->is_ready && @{ $self->{pending} };
    $self->{error} = ($future->failure)[0] if $future->is_ready && $future->is_failed;
    return $self;
}

sub turn {
    my ($self) = @_;
    my @now = splice @{ $self->{pending} };
    $_->() for @now;
    return scalar @now;
}

sub _later {
    my ($self, @result) = @_;
    return Future->done(@result) unless $self->{slow};
    my $future = Future->new;
    push @{ $self->{pending} }, sub { $future->done(@result) unless $future->is_ready };
    return $future;
}

sub _accept {
    my ($self, $event) = @_;
    # SEND-12: the next send waits for the one before.
    return $self->_reject('overlapping sends') if $self->{sending};
    my $problem = $self->_problem($event);
    return $self->_reject($problem) if defined $problem;
    push @{ $self->{sent} }, { %$event,
        (ref $event->{headers} eq 'ARRAY' ? (headers => [ map { [@$_] } @{ $event->{headers} } ]) : ()) };
    return Future->done unless $self->{slow};
    $self->{sending} = 1;
    my $future = Future->new;
    push @{ $self->{pending} }, sub { $self->{sending} = 0; $future->done unless $future->is_ready };
    return $future;
}

sub _reject {
    my ($self, $problem) = @_;
    push @{ $self->{rejected} }, $problem;
    return Future->fail("rejected: $problem\n");
}

sub _problem {
    my ($self, $event) = @_;
    return 'event is not a hashref' if ref $event ne 'HASH';
    my $type = $event->{type} // return 'event without type';
    my $of = $self->{type};

    if ($of eq 'http') {
        return _start_problem($event) // $self->_enter('new', 'body', $event) if $type eq 'http.response.start';
        return $self->_body_problem($event) if $type eq 'http.response.body';
        if ($type eq 'http.response.trailers') {
            return 'trailers out of sequence' if $self->{phase} ne 'trailers';
            return 'trailers with content-length' if defined $self->{declared};
            $self->{phase} = 'done';
            return;
        }
        return if $type eq 'http.fullflush' && $self->{extensions}{fullflush};
    }
    elsif ($of eq 'sse') {
        return _start_problem({ status => 200, %$event }) // $self->_enter('new', 'stream') if $type eq 'sse.start';
        return _start_problem($event) // $self->_enter('new', 'body', $event)
            if $type eq 'sse.http.response.start';
        return $self->_body_problem($event) if $type eq 'sse.http.response.body';
        if ($type =~ /\Asse\.(?:send|comment|keepalive|close)\z/) {
            return "$type out of sequence" if $self->{phase} ne 'stream';
            return 'sse.send without data' if $type eq 'sse.send' && (!defined $event->{data} || ref $event->{data});
            return 'sse.keepalive without interval' if $type eq 'sse.keepalive' && !defined $event->{interval};
            return;
        }
    }
    elsif ($of eq 'websocket') {
        return _start_problem({ status => 101, %$event }) // $self->_enter('new', 'open')
            if $type eq 'websocket.accept';
        if ($type eq 'websocket.close') { $self->{phase} = 'done'; return }
        return _start_problem($event) // $self->_enter('new', 'body', $event)
            if $type eq 'websocket.http.response.start' && $self->{extensions}{'websocket.http.response'};
        return $self->_body_problem($event) if $type eq 'websocket.http.response.body';
        if ($type =~ /\Awebsocket\.(?:send|keepalive)\z/) {
            return $self->{phase} eq 'open' ? undef : "$type out of sequence";
        }
    }
    elsif ($of eq 'lifespan') {
        return if $type =~ /\Alifespan\.(?:startup|shutdown)\.(?:complete|failed)\z/;
    }
    return "$type is not an event of $of scopes";
}

sub _enter {
    my ($self, $from, $to, $event) = @_;
    return "start out of sequence ($self->{phase})" if $self->{phase} ne $from;
    $self->{phase} = $to;
    if ($event) {
        $self->{trailers} = $event->{trailers};
        for my $pair (@{ $event->{headers} || [] }) {
            $self->{declared} = $pair->[1] if lc $pair->[0] eq 'content-length';
        }
        $self->{status} = $event->{status};
    }
    return;
}

sub _start_problem {
    my ($event) = @_;
    return 'status missing or not an integer' unless ($event->{status} // '') =~ /\A[1-9]\d\d\z/;
    my $headers = $event->{headers} // [];
    return 'headers is not an arrayref' if ref $headers ne 'ARRAY';
    for my $pair (@$headers) {
        return 'header is not a pair' if ref $pair ne 'ARRAY' || @$pair != 2 || grep { !defined || ref } @$pair;
        return "header with forbidden bytes: $pair->[0]" if "@$pair" =~ /[\r\n\0]/ || "@$pair" =~ /[^\x00-\xff]/;
        return "header name is not a token: $pair->[0]" if $pair->[0] !~ /\A[!#\$%&'*+\-.^_`|~0-9A-Za-z]+\z/;
    }
    return;
}

sub _body_problem {
    my ($self, $event) = @_;
    return "body out of sequence ($self->{phase})" if $self->{phase} ne 'body';
    my @kinds = grep { defined $event->{$_} } qw(body file fh);
    return 'more than one of body, file, fh' if @kinds > 1;
    my $final = !$event->{more} || defined $event->{file} || defined $event->{fh};
    if (defined $event->{file} || defined $event->{fh}) {
        return 'file after inline bytes' if $self->{length};
        return 'file is not absolute' if defined $event->{file} && $event->{file} !~ m{\A/};
    }
    else {
        my $body = $event->{body} // '';
        return 'body is not bytes' if ref $body || $body =~ /[^\x00-\xff]/;
        $self->{length} += length $body;
        my $bodiless = $self->{method} eq 'HEAD' || $self->{status} =~ /\A(?:204|304)\z/;
        if (defined $self->{declared} && !$bodiless) {
            return "body of $self->{length} bytes, content-length $self->{declared}"
                if $self->{length} > $self->{declared} || ($final && $self->{length} < $self->{declared});
        }
    }
    $self->{phase} = $self->{trailers} ? 'trailers' : 'done' if $final;
    return;
}

sub error    { return $_[0]{error} }
sub future   { return $_[0]{future} }
sub events   { return @{ $_[0]{sent} } }
sub types    { return [ map { $_->{type} } @{ $_[0]{sent} } ] }
sub rejected { return $_[0]{rejected} }
sub phase    { return $_[0]{phase} }

sub start {
    my ($self) = @_;
    my ($start) = grep { $_->{type} =~ /(?:\.start|\.accept)\z/ } @{ $self->{sent} };
    return $start;
}
sub status  { my ($self) = @_; my $start = $self->start; return $start && $start->{status} }
sub headers { my ($self) = @_; return @{ ($self->start || {})->{headers} || [] } }

sub header {
    my ($self, $name) = @_;
    my @values = $self->header_all($name);
    return $values[0];
}

sub header_all {
    my ($self, $name) = @_;
    return map { $_->[1] } grep { lc $_->[0] eq lc $name } $self->headers;
}

# The bytes a client would get, files included.
sub body {
    my ($self) = @_;
    my $body = '';
    for my $event (grep { $_->{type} =~ /\.body\z/ } @{ $self->{sent} }) {
        my $fh = $event->{fh};
        if (defined $event->{file}) { open $fh, '<:raw', $event->{file} or die "$event->{file}: $!" }
        if ($fh) {
            my $all = do { local $/; <$fh> } // '';
            $body .= substr $all, $event->{offset} // 0, $event->{length} // length $all;
        }
        else { $body .= $event->{body} // '' }
    }
    return $body;
}

1;
