package PAGI::App::Proxy::Exchange;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;
use PAGI::App::Proxy::EventStream;
use PAGI::App::Proxy::Failure;
use PAGI::App::Proxy::Request qw(forwarded_headers request_target);
use PAGI::App::Proxy::Response;
use PAGI::App::Support::Answer qw(text_answer);
use Scalar::Util qw(blessed weaken);

my %TEXT = (502 => 'Bad Gateway', 504 => 'Gateway Timeout');

sub new {
    my ($class, %args) = @_;
    my $is_sse = $args{scope}{type} eq 'sse';
    return bless {
        %args,
        family    => $is_sse ? 'sse.http.response' : 'http.response',
        body_type => $is_sse ? 'sse.request' : 'http.request',
        gone_type => $is_sse ? 'sse.disconnect' : 'http.disconnect',
        # Events of the request that were read ahead.
        events     => [],
        connection => undef,
        upload     => undef,
        watch      => undef,
        started    => 0,
        gone       => Future->new,
        left       => 0,    # the client has gone
        uploading  => 0,    # inside the call that starts the upload
    }, $class;
}

async sub run {
    my ($self) = @_;
    my $client = $self->{scope}{'pagi.connection'};
    if ($client) {
        weaken(my $weak = $self);
        $client->on_disconnect(sub { $weak->_client_gone if $weak });
    }
    my $exchange = $self->_exchange;
    my $ok = eval { await Future->wait_any($exchange, $self->{gone}); 1 };
    my $error = $@;
    # The upload too waits for one of the two sides, and neither is of interest now.
    for my $waiting (grep { defined } @$self{qw(upload watch)}) {
        $waiting->cancel unless $waiting->is_ready;
    }
    $self->{connection}->close if $self->{connection};
    return if $ok || $self->{left};
    die $error unless blessed $error && $error->isa('PAGI::App::Proxy::Failure');

    warn "PAGI::App::Proxy: $self->{scope}{method} " . request_target($self->{scope}) . ": $error";
    die "$error" if $self->{started};
    await text_answer(@$self{qw(scope send)}, $error->status, $TEXT{ $error->status });
    return;
}

# Ends the exchange by cancelling it, but for when the news comes from under its own feet: then it looks itself.
sub _client_gone {
    my ($self) = @_;
    $self->{left} = 1;
    $self->{gone}->done unless $self->{uploading} || $self->{gone}->is_ready;
    return;
}

async sub _exchange {
    my ($self) = @_;
    my ($scope, $backend) = @$self{qw(scope backend)};
    my $method = $scope->{method};
    my @framing = await $self->_framing;
    my $head = join "\r\n", "$method " . request_target($scope) . ' HTTP/1.1',
        (map {"$_->[0]: $_->[1]"} @{ forwarded_headers($scope, $backend->authority, $self->{headers}) }, @framing), '', '';

    my $response;
    my $connection = $self->{connection} = $backend->reuse;
    if ($connection) {
        my $ok = eval {
            $response = await $self->_request($connection, $head, @framing);
            1;
        };
        if (!$ok) {
            # It may have been closed at the other end just before. RFC 9110 9.2.2: only if sending it twice does no harm.
            die $@ if $self->{left} || @framing || $method !~ /\A(?:GET|HEAD|OPTIONS|PUT|DELETE|TRACE)\z/ || length ${ $connection->buffer }
                || (blessed $@ && $@->can('status') && $@->status == 504);
            $connection->close;
            undef $connection;
        }
    }
    if (!$connection) {
        $connection = $self->{connection} = await $backend->connect;
        $response = await $self->_request($connection, $head, @framing);
    }
    PAGI::App::Proxy::Failure->throw(502, 'bad response from the backend: a protocol switch nobody asked for')
        if $response->status == 101;

    await $self->_forward($response);
    if ($response->is_reusable && $self->{upload}->is_done) {
        $self->{connection} = undef;
        $backend->keep($connection);
    }
    return;
}

# How the body will be framed for the backend: a header, or nothing for no body.
async sub _framing {
    my ($self) = @_;
    for my $header (@{ $self->{scope}{headers} || [] }) {
        next if lc $header->[0] ne 'content-length';
        return ['content-length', $header->[1]];
    }
    # Without a length the first event tells (HTTP-2); it is there already when there is no body.
    my $event = await $self->{receive}->();
    push @{ $self->{events} }, $event;
    if ($event->{type} ne $self->{body_type}) {
        $self->{left} = 1;
        die "the client has gone\n";
    }
    return ['content-length', 0] if !$event->{more} && !length($event->{body} // '') && $self->{scope}{method} =~ /\A(?:POST|PUT|PATCH)\z/;
    return $event->{more} || length($event->{body} // '') ? ['transfer-encoding', 'chunked'] : ();
}

# Head and body go out while the response is awaited: the backend may answer before it has read everything.
async sub _request {
    my ($self, $connection, $head, @framing) = @_;
    await $connection->write($head);
    $self->{uploading} = 1;
    $self->{upload} = $self->_upload($connection, @framing ? $framing[0][0] : '');
    $self->{uploading} = 0;
    die "the client has gone\n" if $self->{left};
    # A broken upload is no reason not to read why it was refused; the response will tell.
    return await PAGI::App::Proxy::Response->read($connection, $self->{scope}{method}, $self->{max_head});
}

async sub _upload {
    my ($self, $connection, $framing) = @_;
    my $chunked = $framing eq 'transfer-encoding';
    my $more = length $framing;
    while ($more) {
        my $event = @{ $self->{events} } ? shift @{ $self->{events} } : await $self->{receive}->();
        if ($event->{type} ne $self->{body_type}) {
            $self->_client_gone;
            return;
        }
        $more = $event->{more};
        my $bytes = $event->{body} // '';
        $bytes = (length $bytes ? sprintf("%x\r\n%s\r\n", length $bytes, $bytes) : '') . ($more ? '' : "0\r\n\r\n") if $chunked;
        # Awaiting the write before the next receive is the back-pressure.
        await $connection->write($bytes) if length $bytes;
    }
    $self->_watch unless $self->{scope}{'pagi.connection'} || $self->{watch};
    return;
}

# Where there is no connection object (CONN-2), the end of the client comes as an event.
sub _watch {
    my ($self) = @_;
    weaken(my $weak = $self);
    $self->{watch} = $self->{receive}->()->on_done(sub {
        my ($event) = @_;
        $weak->_client_gone if $weak && $event->{type} eq $weak->{gone_type};
    });
    return;
}

async sub _forward {
    my ($self, $response) = @_;
    my ($send, $family) = @$self{qw(send family)};
    if ($family ne 'http.response' && $response->status == 200 && ($response->header('content-type') // '') =~ m{\Atext/event-stream\b}i) {
        $self->{started} = 1;
        $self->{connection}->set_idle(0);
        return await PAGI::App::Proxy::EventStream->new($response)->forward($send);
    }

    $self->{started} = 1;
    await $send->({ type => "$family.start", status => $response->status, headers => [$response->end_to_end_headers] });
    while ($response->has_body) {
        my $bytes = await $response->next_bytes;
        last unless defined $bytes;
        await $send->({ type => "$family.body", body => $bytes, more => 1 });
    }
    await $send->({ type => "$family.body", body => '', more => 0 });
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Proxy::Exchange - one request to the backend and its response

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::App::Proxy::Backend;
    use PAGI::App::Proxy::Exchange;

    my $backend = PAGI::App::Proxy::Backend->new('http://127.0.0.1:8080', timeout => 5, idle => 60);
    await PAGI::App::Proxy::Exchange->new(
        scope => $scope, receive => $receive, send => $send, backend => $backend, headers => {}, max_head => 65536,
    )->run;

=head1 METHODS

=head2 new

Takes C<scope> (http or sse), C<receive>, C<send>, C<backend> (a L<PAGI::App::Proxy::Backend>), C<headers> (hashref of further request headers) and
C<max_head> (bytes).

=head2 run

A Future that is done when the response has been sent, or the client has gone; it fails when a response under way cannot be completed.

=cut
