package PAGI::Simple::Context;

use strict;
use warnings;

use parent 'PAGI::Simple::Context::Response';

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use Hash::MultiValue;
use PAGI::Simple::Abort;
use PAGI::Simple::Request;

sub new {
    my ($class, %args) = @_;
    return bless {
        app         => $args{app},
        scope       => $args{scope},
        receive     => $args{receive},
        send        => $args{send},
        path_params => $args{path_params} || {},
        status      => 200,
        headers     => [],
    }, $class;
}

# --- the request

sub app         { return $_[0]{app} }
sub scope       { return $_[0]{scope} }
sub receive     { return $_[0]{receive} }
sub send        { return $_[0]{send} }
sub stash       { return $_[0]{stash} ||= {} }
sub path_params { return $_[0]{path_params} }
sub method      { return $_[0]{scope}{method} }
sub path        { return $_[0]{scope}{path} }
sub state       { return $_[0]{scope}{state} ||= {} }

sub query_string {
    my $query = $_[0]{scope}{query_string};
    return defined $query ? $query : '';
}

sub req {
    my ($self) = @_;
    return $self->{req} ||= PAGI::Simple::Request->for_context($self);
}

sub accepts { return shift->req->accepts(@_) }
sub upload  { return shift->req->upload(@_) }
sub uploads { return shift->req->uploads(@_) }

sub body_stream { return shift->req->body_stream(@_) }

# Decoded data, at once: when the body is not complete yet the event loop runs until it is.
sub json_body { return $_[0]->req->json_body->get }

async sub param {
    my ($self, $name) = @_;
    return $self->{path_params}{$name} if defined $self->{path_params}{$name};
    my $value = $self->req->query_param($name);
    return $value if defined $value;
    return await $self->req->body_param($name);
}

# Hash::MultiValue->get gives the last value, so what comes last has precedence.
async sub params {
    my ($self) = @_;
    my $body = await $self->req->body_params;
    return Hash::MultiValue->new($body->flatten, $self->req->query->flatten, %{ $self->{path_params} });
}

sub structured_query {
    my ($self) = @_;
    return $self->_structured($self->req->query, 'query');
}

async sub structured_body {
    my ($self) = @_;
    return $self->_structured(scalar(await $self->req->body_params), 'body');
}

async sub structured_data {
    my ($self) = @_;
    my $body = await $self->req->body_params;
    # the body wins as a whole key: its values must not be mixed with those of the query
    my $all = $self->req->query->clone;
    $all->remove($_) for $body->keys;
    $all->merge_flat($body->flatten);
    return $self->_structured($all, 'data');
}

sub _structured {
    my ($self, $values, $type) = @_;
    require PAGI::Simple::StructuredParams;
    return PAGI::Simple::StructuredParams->new(multi_value => $values, source_type => $type, context => $self);
}

# --- where the application is mounted (PATH-6: path never contains root_path)

sub mount_path { return defined $_[0]{scope}{root_path} ? $_[0]{scope}{root_path} : '' }
sub local_path { return $_[0]{scope}{path} }

sub full_path {
    my ($self) = @_;
    my $full = $self->{scope}{'pagi.simple.full_path'};
    return defined $full ? $full : $self->mount_path . $self->{scope}{path};
}

sub url_for {
    my ($self, $name, %params) = @_;
    my $url = $self->{app}->_local_url_for($name, %params);
    return defined $url ? PAGI::Simple::Pattern::_escaped($self->mount_path, '/:@!$&\'()*+,;=') . $url : undef;
}

# --- the rest of the world

sub service {
    my ($self, $name, %args) = @_;
    return $self->{app}->_services->get($self, $name, %args);
}

sub session {
    my ($self) = @_;
    return $self->{session} ||= do {
        croak 'There is no session: call $app->enable_session(secret => ...)' unless $self->{scope}{'pagi.session'};
        require PAGI::Session;
        PAGI::Session->new($self->{scope});
    };
}

sub run_blocking {
    my ($self, $code, @args) = @_;
    return $self->{app}->_blocking->run($code, @args);
}

sub loop {
    my ($self) = @_;
    return defined $self->{scope}{'pagi.loop'} ? $self->{scope}{'pagi.loop'} : $self->{app} && $self->{app}->loop;
}

sub log {
    my ($self) = @_;
    return $self->{log} ||= do {
        require PAGI::Simple::Context::Logger;
        PAGI::Simple::Context::Logger->new($self->{scope});
    };
}

sub is_disconnected {
    my ($self) = @_;
    my $connection = $self->{scope}{'pagi.connection'} or return 0;
    return $connection->is_connected ? 0 : 1;
}

sub disconnect_future {
    my ($self) = @_;
    my $connection = $self->{scope}{'pagi.connection'} or return Future->new;
    my $known = $connection->can('disconnect_future') ? $connection->disconnect_future : undef;
    return $known if $known;
    my $future = Future->new;
    $connection->on_disconnect(sub { $future->done($_[0]) unless $future->is_ready });
    return $future;
}

sub abort {
    my ($self, $code, $message) = @_;
    die defined $message ? "$message\n" : "Aborted with status $code\n" if $self->{started};
    die PAGI::Simple::Abort->new(code => $code, message => $message, context => $self);
}

sub not_found {
    my ($self, $message) = @_;
    return $self->abort(404, $message);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Context - one request, as handlers see it

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);

    $app->get('/users/:id' => sub {
        my ($c) = @_;
        $c->abort(404, 'No such user') if $c->path_params->{id} > 10;
        $c->json({ id => $c->path_params->{id}, page => $c->req->query_param('page') });
    });

    $app->post('/users' => async sub {
        my ($c) = @_;
        my $data = await $c->req->json_body;
        await $c->json($data, 201);
    });

=head1 DESCRIPTION

The C<$c> that handlers, hooks, middleware and error handlers get. Methods that return a L<Future> say so; the Future of a method that
sends something may be ignored, the framework waits for it.

The methods that build and send responses are described in L<PAGI::Simple::Context::Response>: C<status>, C<res_header>,
C<content_type>, C<cookie>, C<remove_cookie>, C<cors>, C<hx_trigger>, C<hx_redirect>, C<hx_refresh>, C<text>, C<html>, C<json>, C<redirect>,
C<redirect_to>, C<render>, C<render_string>, C<render_or_redirect>, C<empty_or_redirect>, C<respond_to>, C<stream>, C<stream_from>,
C<send_file>, C<send_utf8>, C<send_response>.

=head1 METHODS

=head2 new

Made by the framework from C<app>, C<scope>, C<receive>, C<send> and C<path_params>.

=head2 app, scope, receive, send

The application and the raw PAGI triple.

=head2 req

The L<PAGI::Simple::Request>.

=head2 stash, state

Hashrefs: C<stash> lives as long as the request, C<state> is the worker's lifespan state. For the whole application there is
C<< $c->app->stash >>.

=head2 method, path, query_string

From the scope; C<path> is decoded characters, C<query_string> bytes (C<''> if none).

=head2 path_params

Hashref of the captures, characters.

=head2 json_body

    my $data = $c->json_body;

The decoded JSON body, B<at once>: plain data, not a Future (C<await $c-E<gt>json_body> is an error; write
C<await $c-E<gt>req-E<gt>json_body> in async handlers). If the body is not complete the event loop runs until it is; bodies up to 64 KiB
with a Content-Length were read before the handler was called. Dies with an exception of status 400 on bad JSON.

=head2 param, params

    my $name = await $c->param('name');
    my $all  = await $c->params;

Futures. The first hit in path, query and form body; a L<Hash::MultiValue> of all three whose C<get> prefers them in that order.

=head2 structured_body, structured_query, structured_data

L<PAGI::Simple::StructuredParams> of the form body (Future), the query, or both (Future; the body wins).

=head2 body_stream, accepts, upload, uploads

The methods of C<< $c->req >>.

=head2 mount_path, local_path, full_path

The prefix of all mounts (C<''> if none), the path below it, and both together.

=head2 url_for

    my $url = $c->url_for('user', id => 7, query => { tab => 'log' });

As C<url_for> of L<PAGI::Simple>, below the mount of this request.

=head2 service

    my $users = $c->service('Users', %args);

See L<PAGI::Simple::Service::_Base>.

=head2 session

The L<PAGI::Session>. Dies with C<There is no session: ...> unless sessions are enabled.

=head2 run_blocking

    my $rows = await $c->run_blocking(sub { my ($id) = @_; slow_query($id) }, $id);

A Future. See L<PAGI::Simple::Blocking>. For a handler that blocks as a whole see L<PAGI::Sync>.

=head2 loop

The scope's or the application's event loop, or undef.

=head2 log

A L<PAGI::Simple::Context::Logger>.

=head2 is_disconnected, disconnect_future

1 when the client has left; a Future that is done when it leaves.

=head2 abort, not_found

    $c->abort(403, 'Members only');
    $c->not_found;

Throw a L<PAGI::Simple::Abort>. After a response has started they die with the message as a string.

=cut
