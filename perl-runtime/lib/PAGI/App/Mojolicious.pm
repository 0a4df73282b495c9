package PAGI::App::Mojolicious;

use strict;
use warnings;

use Carp qw(croak);
use Future::AsyncAwait;
use Mojo::Server ();
use PAGI::App::Mojolicious::Exchange;
use PAGI::App::Mojolicious::Session;
use PAGI::App::Support::Answer qw(unsupported);
use PAGI::App::Support::Plain qw(plain_http);
use PAGI::Utils qw(handle_lifespan);
use Scalar::Util qw(blessed);

sub new {
    my ($class, %args) = @_;
    delete $args{_caller_file};
    my ($app, $name, $file) = delete @args{qw(app class file)};
    my $config = delete $args{config} // {};
    croak 'Unknown options to PAGI::App::Mojolicious->new: ' . join ', ', sort keys %args if %args;
    croak 'PAGI::App::Mojolicious needs one of app, class and file' if 1 != grep { defined } $app, $name, $file;
    croak "PAGI::App::Mojolicious: 'app' must be an application object" if defined $app && !(blessed $app && $app->can('handler'));

    my $server = Mojo::Server->new;
    # The mode is that of the server, unless something says otherwise.
    local $ENV{MOJO_MODE} = $ENV{MOJO_MODE} || $ENV{PLACK_ENV} || $ENV{PAGI_ENV} || 'development';
    if    (defined $app)  { $server->app($app) }
    elsif (defined $name) { $server->build_app($name => $config) }
    else                  { $server->load_app($file => $config) }
    $server->app->mode;    # decided when it is first asked for
    return bless { server => $server }, $class;
}

sub app { return $_[0]{server}->app }

sub to_app {
    my ($self) = @_;
    my $server = $self->{server};
    return sub {
        my ($scope, $receive, $send) = @_;
        my $type = $scope->{type} // '';
        if ($type eq 'lifespan') {
            return handle_lifespan($scope, $receive, $send, startup => async sub { $server->app->server($server); return });
        }
        if ($type eq 'websocket') {
            return PAGI::App::Mojolicious::Session->new(server => $server, scope => $scope, receive => $receive, send => $send)->run;
        }
        return unsupported($scope) if $type ne 'http' && $type ne 'sse';
        ($scope, $receive, $send) = plain_http($scope, $receive, $send);
        return PAGI::App::Mojolicious::Exchange->new(server => $server, scope => $scope, receive => $receive, send => $send)->run;
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Mojolicious - run a Mojolicious application

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Mojolicious::Lite;
    use PAGI::App::Mojolicious;

    get '/' => sub { $_[0]->render(text => 'Hello') };
    websocket '/echo' => sub {
        my ($c) = @_;
        $c->on(message => sub { my ($c, $text) = @_; $c->send("echo: $text") });
    };

    my $app = PAGI::App::Mojolicious->new(app => app)->to_app;

=head1 DESCRIPTION

Serves a Mojolicious or Mojolicious::Lite application as it is, with everything that Mojolicious does asynchronously: under
C<pagi-server>, C<Mojo::IOLoop> runs on the loop that serves the requests (L<PAGI::Native::MojoReactor>), so promises, C<Mojo::UserAgent>,
timers, delayed rendering, C<write> and C<write_chunk>, event streams and WebSockets work, and the client may speak HTTP/2 and TLS.

    pagi-server script/my_app                                  # a script is recognised
    pagi-server PAGI::App::Mojolicious class=MyApp             # a class

Requests go through Mojolicious's own parser, so C<MOJO_MAX_MESSAGE_SIZE> and its other limits apply beside those of the server. A file as
response is sent by the server. Slow clients slow the application's C<drain> events down. When the client goes, the transaction's
C<finish> event is emitted.

What belongs to a connection is the server's business: C<connection> of a transaction is undef, C<< $c->inactivity_timeout >> does nothing, and
compression and pings of WebSockets are options of C<pagi-server>. Frames of a message are put together: C<frame> events come one per message.

The hook C<before_server_start> runs in each worker, at lifespan startup.

=head1 METHODS

=head2 new

One of

=over

=item app

The application object.

=item class

Name of an application class.

=item file

Path of a script, as for C<hypnotoad>.

=back

and C<config>, a hashref for the constructor of the class or script. Croaks C<PAGI::App::Mojolicious needs one of app, class and file>, and what
Mojolicious says when it cannot load the application. Unless the application has set it, the mode is C<MOJO_MODE>, C<PLACK_ENV> or the C<-E> of
C<pagi-server>, the first that is set.

=head2 app

The application object.

=head2 to_app

The app, for all scope types.

=head1 SEE ALSO

L<PAGI::App::WrapPSGI>, L<Mojolicious>

=cut
