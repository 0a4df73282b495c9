package PAGI::App::Mojolicious::Exchange;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;
use Mojo::File ();
use Mojo::IOLoop ();
use PAGI::App::Mojolicious::Content;
use PAGI::App::Mojolicious::Request qw(body_part prepare request_head);
use Scalar::Util qw(weaken);

sub new {
    my ($class, %args) = @_;
    return bless { %args, resumed => 0, wake => undef, gone => 0, family => $args{family} // 'http.response' }, $class;
}

async sub run {
    my ($self) = @_;
    my ($tx, $server) = ($self->begin, $self->{server});
    $tx->on(request => sub { $server->emit(request => $_[0]) });
    my $complete = await $self->_read_request;
    if (!$complete) {
        $tx->closed;
        return;
    }
    $self->watch_client;
    my $ok = eval { await $self->respond; 1 };
    my $error = $@;
    $self->forget_client;
    $tx->closed;
    die $error unless $ok || $self->{gone};
    return;
}

sub begin {
    my ($self) = @_;
    my $tx = $self->{tx} = $self->{server}->build_tx;
    my $res = $tx->res;
    $res->content(PAGI::App::Mojolicious::Content->new(headers => $res->headers));
    prepare($tx, $self->{scope});
    $self->listen_to($tx);
    return $tx;
}

# Called, or to be called, when the transaction has something to write.
sub listen_to {
    my ($self, $tx) = @_;
    weaken(my $weak = $self);
    $tx->on(resume => sub { $weak->wake if $weak });
    return;
}

sub wake {
    my ($self) = @_;
    $self->{resumed} = 1;
    my $wake = delete $self->{wake} or return;
    # Not at once: the application may be in the middle of rendering, and has hooks to run after it.
    Mojo::IOLoop->next_tick(sub { $wake->done unless $wake->is_ready });
    return;
}

# Done when the application has resumed the transaction since the last time, or the client has gone.
sub resumed {
    my ($self) = @_;
    return Future->done if $self->{gone};
    if ($self->{resumed}) {
        $self->{resumed} = 0;
        return Future->done;
    }
    return ($self->{wake} = Future->new)->then(sub { $self->{resumed} = 0; return Future->done });
}

# True when the request was handed to the application, which may be before its end; false when the client has gone.
async sub _read_request {
    my ($self) = @_;
    my ($tx, $scope, $receive) = @$self{qw(tx scope receive)};
    my $has_length = grep { $_->[0] eq 'content-length' } @{ $scope->{headers} || [] };
    my ($chunked, $has_head) = (0, 0);
    while (1) {
        my $event = await $receive->();
        return 0 if $event->{type} ne 'http.request';
        my ($bytes, $more) = ($event->{body} // '', $event->{more});
        if (!$has_head++) {
            $chunked = !$has_length && ($more || length $bytes);
            $tx->server_read(request_head($scope, $chunked));
        }
        my $part = body_part($bytes, $chunked, $more);
        $tx->server_read($part) if length $part && !$tx->req->is_finished;
        return 1 if !$more || $tx->req->is_finished;
    }
}

sub watch_client {
    my ($self) = @_;
    weaken(my $weak = $self);
    $self->{watch} = $self->{receive}->()->on_done(sub {
        my ($event) = @_;
        return if !$weak || $event->{type} ne 'http.disconnect';
        $weak->{gone} = 1;
        $weak->wake;
    });
    return;
}

sub forget_client {
    my ($self) = @_;
    my $watch = delete $self->{watch};
    $watch->cancel if $watch && !$watch->is_ready;
    return;
}

async sub respond {
    my ($self) = @_;
    my ($tx, $send, $family) = @$self{qw(tx send family)};
    await $self->resumed;
    return if $self->{gone};
    my $res = $tx->res->fix_headers;
    await $send->({ type => "$family.start", status => $res->code // 404, headers => _headers($res->headers) });
    my $file = $tx->is_empty ? undef : _file_event($res);
    if ($file || $tx->is_empty) {
        await $send->({ type => "$family.body", $file ? %$file : (body => ''), more => 0 });
        $res->finish;
        return;
    }
    my $offset = 0;
    while (!$self->{gone}) {
        my $chunk = $res->get_body_chunk($offset);
        if (!defined $chunk) {
            await $self->resumed;
            next;
        }
        last unless length $chunk;
        $offset += length $chunk;
        await $send->({ type => "$family.body", body => $chunk, more => 1 });
    }
    await $send->({ type => "$family.body", body => '', more => 0 }) unless $self->{gone};
    return;
}

sub _headers {
    my ($headers) = @_;
    my @pairs;
    for my $name (@{ $headers->names }) {
        my $lower = lc $name;
        next if $lower =~ /\A(?:connection|keep-alive|transfer-encoding|upgrade)\z/;
        push @pairs, map { [$lower, "$_"] } @{ $headers->every_header($name) };
    }
    return \@pairs;
}

# Of a body that is one file, or a part of it.
sub _file_event {
    my ($res) = @_;
    my $content = $res->content;
    return undef if $content->is_multipart || $content->is_dynamic || !$content->asset->is_file;
    my $asset = $content->asset;
    my $path = $asset->path;
    return undef unless defined $path && -f $path && -r _;
    my $last = $asset->end_range // $asset->size - 1;
    return { file => Mojo::File->new($path)->to_abs->to_string, offset => $asset->start_range, length => $last - $asset->start_range + 1 };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Mojolicious::Exchange - one request to a Mojolicious application and its response

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use Mojo::Server;
    use PAGI::App::Mojolicious::Exchange;

    my $server = Mojo::Server->new;
    await PAGI::App::Mojolicious::Exchange->new(server => $server, scope => $scope, receive => $receive, send => $send)->run;

=head1 METHODS

=head2 new

Takes C<server> (a L<Mojo::Server> with the application), C<scope> (http), C<receive>, C<send> and C<family>, the beginning of the response's
event names (default C<http.response>).

=head2 run

A Future that is done when the transaction has been closed.

=head2 begin, listen_to, wake, resumed, watch_client, forget_client, respond

For L<PAGI::App::Mojolicious::Session>.

=cut
