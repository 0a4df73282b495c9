package PAGI::App::Dancer2;

use strict;
use warnings;

use Carp qw(croak);
use PAGI::App::Router;
use PAGI::App::Support::Answer qw(text_answer unsupported);
use PAGI::App::Support::Plain qw(plain_http);
use PAGI::App::WrapPSGI;
use PAGI::App::WrapPSGI::Environment qw(pool_size);
use PAGI::Utils qw(handle_lifespan);

sub new {
    my ($class, %args) = @_;
    delete $args{_caller_file};
    my ($name, $pool, $websocket, $sse) = delete @args{qw(class pool websocket sse)};
    croak 'Unknown options to PAGI::App::Dancer2->new: ' . join ', ', sort keys %args if %args;
    croak 'PAGI::App::Dancer2 needs class, the name of a Dancer2 application' unless defined $name && $name =~ /\A[A-Za-z_]\w*(?:::\w+)*\z/;
    if (!$name->can('to_app')) {
        (my $file = "$name.pm") =~ s{::}{/}g;
        require $file;
    }
    croak "PAGI::App::Dancer2: $name is not a Dancer2 application" unless $name->can('dancer_app') && $name->can('to_app');
    return bless { class => $name, pool => $pool // 1, websocket => $websocket || {}, sse => $sse || {} }, $class;
}

sub to_app {
    my ($self) = @_;
    my $dancer = $self->{class}->dancer_app;
    my $psgi = $self->{class}->to_app;
    my $blocking = PAGI::App::WrapPSGI->new(psgi_app => $psgi, pool => $self->{pool})->to_app;

    my $router = PAGI::App::Router->new(not_found => sub {
        my ($scope, $receive, $send) = @_;
        return text_answer($scope, $send, 404, 'Not Found') if $scope->{type} eq 'websocket';
        # An event stream cannot be handed to the pool (CONN-2), and must not block here.
        return text_answer($scope, $send, 406, 'Not Acceptable') if pool_size();
        return $blocking->(plain_http($scope, $receive, $send));
    });
    my $has_routes = 0;
    for my $type (qw(websocket sse)) {
        for my $path (sort keys %{ $self->{$type} }) {
            $router->$type($path => $self->{$type}{$path});
            $has_routes++;
        }
    }
    my $routes = $router->to_app;

    my $app = sub {
        # The same file under a PSGI server.
        goto &$psgi if @_ == 1;
        my ($scope, $receive, $send) = @_;
        my $type = $scope->{type} // '';
        return $blocking->($scope, $receive, $send) if $type eq 'http';
        return handle_lifespan($scope, $receive, $send) if $type eq 'lifespan';
        return unsupported($scope) if $type ne 'websocket' && $type ne 'sse';
        return $blocking->(plain_http($scope, $receive, $send)) if $type eq 'sse' && !$has_routes;
        return $routes->({ %$scope, 'dancer2.session' => _session($dancer, $scope) }, $receive, $send);
    };
    # Where there are no other routes, requests go to the pool without a look at them.
    return $has_routes || !$self->{pool} ? $app : bless $app, 'PAGI::Blocking';
}

# What the session held when the connection was made: a copy, which nobody writes back.
sub _session {
    my ($dancer, $scope) = @_;
    my $engine = $dancer->session_engine or return {};
    my $name = $engine->cookie_name;
    my ($id) = map { $_->[1] =~ /(?:\A|;)\s*\Q$name\E=([^;]*)/ ? $1 : () } grep { $_->[0] eq 'cookie' } @{ $scope->{headers} || [] };
    return {} unless defined $id;
    $id =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    my $session = eval { $engine->retrieve(id => $id) } or return {};
    return { %{ $session->data } };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Dancer2 - run a Dancer2 application, with WebSockets beside it

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::App::Dancer2;
    use PAGI::WebSocket;

    async sub greet {
        my ($scope, $receive, $send) = @_;
        my $ws = PAGI::WebSocket->new($scope, $receive, $send);
        await $ws->accept;
        await $ws->send_text('Hello, ' . ($scope->{'dancer2.session'}{name} // 'stranger'));
    }

    $app = PAGI::App::Dancer2->new(class => 'MyApp', websocket => { '/greet' => \&greet })->to_app;

=head1 DESCRIPTION

A Dancer2 application runs as it is: C<pagi-server --pool 4 app.psgi> is all that one without WebSockets needs. This class adds what PSGI has no way to
express: WebSockets and event streams which know the user's session.

The application's routes run in processes of the pool when the server has one (C<--pool N>), where they may block as they like, otherwise in the
worker (L<PAGI::App::WrapPSGI>). C<delayed> routes stream. The routes given here run in the worker, on its event loop, as PAGI applications.

Requests for event streams (those that accept C<text/event-stream>) for other paths belong to the application; with a pool and routes given here they
are answered 406, because they cannot be handed over and must not block the worker.

Called with one argument, the app is the application's PSGI application: one file serves both kinds of servers.

=head1 METHODS

=head2 new

=over

=item class

Name of the application, loaded if necessary. Croaks C<PAGI::App::Dancer2 needs class, the name of a Dancer2 application> and
C<PAGI::App::Dancer2: NAME is not a Dancer2 application>.

=item websocket, sse

Hashrefs of paths and apps. Paths are those of L<PAGI::App::Router>, so they may have parameters. The scope has C<dancer2.session>: a hashref with what the
session held when the request came, empty without one. Changes are not written back.

=item pool

True by default. False keeps the application's requests in the worker also when there is a pool.

=back

=head2 to_app

The app.

=cut
