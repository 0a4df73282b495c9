package PAGI::App::WrapCGI;

use strict;
use warnings;

use Carp qw(croak);
use File::Spec;
use Future;
use Future::AsyncAwait;
use Future::IO;
use PAGI::App::Support::Answer qw(text_answer unsupported);
use PAGI::App::Support::Spool;
use PAGI::App::WrapCGI::Head;
use PAGI::App::WrapCGI::Process;
use PAGI::App::WrapPSGI::Environment qw(request_environment);
use PAGI::Middleware::Support::Seconds qw(check_seconds);

our @CARP_NOT = qw(PAGI::Middleware::Support::Seconds);

my $READ = 65_536;    # bytes

sub new {
    my ($class, %args) = @_;
    croak 'PAGI::App::WrapCGI needs script, the path of an executable' unless defined $args{script};
    croak q{PAGI::App::WrapCGI 'env' must be a hashref of variables} if defined $args{env} && ref $args{env} ne 'HASH';
    return bless {
        script  => File::Spec->rel2abs("$args{script}"),
        env     => { %{ $args{env} || {} } },
        timeout => check_seconds("PAGI::App::WrapCGI 'timeout'", $args{timeout} // 30),
    }, $class;
}

sub to_app {
    my ($self) = @_;
    my ($script, $timeout, $env) = @$self{qw(script timeout env)};
    return sub {
        my ($scope, $receive, $send) = @_;
        return unsupported($scope) if ($scope->{type} // '') ne 'http';
        return _serve($scope, $receive, $send, $script, $timeout, $env);
    };
}

async sub _serve {
    my ($scope, $receive, $send, $script, $timeout, $env) = @_;
    my $spool = PAGI::App::Support::Spool->new;
    await $spool->fill($receive) or return;

    my $process = eval {
        PAGI::App::WrapCGI::Process->start(
            command     => $script,
            input       => $spool->file_handle,
            environment => { %{ environment($scope, $spool->length) }, %$env },
        );
    };
    if (!$process) {
        warn "CGI script $script cannot be started: $@";
        await text_answer($scope, $send, 500, 'Internal Server Error');
        return;
    }
    my $connection = $scope->{'pagi.connection'};
    $connection->on_disconnect(sub { $process->stop }) if $connection;

    my $ok = eval { await _answer($scope, $send, $script, $process, $timeout); 1 };
    my $error = $@;
    await $process->ended($ok ? $timeout : 0);
    die $error unless $ok;
    return;
}

async sub _answer {
    my ($scope, $send, $script, $process, $timeout) = @_;
    my $head = PAGI::App::WrapCGI::Head->new;
    my $deadline = Future::IO->sleep($timeout);
    while (!$head->is_complete) {
        my $output = _read($process);
        await Future->wait_any($output, $deadline->without_cancel) unless $output->is_ready;
        if (!$output->is_done) {
            $process->stop;
            warn "CGI script $script gave no response within $timeout seconds\n";
            return await text_answer($scope, $send, 504, 'Gateway Timeout');
        }
        my $bytes = $output->get;
        my $problem = defined $bytes ? $head->add($bytes) : 'it ended before the header was complete';
        next unless defined $problem;
        $deadline->cancel;
        return if $process->was_stopped;    # the client has gone, and nobody is left to tell
        $process->stop;
        warn "CGI script $script gave a bad response: $problem\n";
        return await text_answer($scope, $send, 500, 'Internal Server Error');
    }
    $deadline->cancel;
    await $send->({ type => 'http.response.start', status => $head->status, headers => $head->headers });

    my $bytes = $head->rest;
    while (defined $bytes) {
        await $send->({ type => 'http.response.body', body => $bytes, more => 1 }) if length $bytes;
        my $output = _read($process);
        await Future->wait_any($output, Future::IO->sleep($timeout)) unless $output->is_ready;
        # Cut off: the response must not look complete.
        return if $process->was_stopped;
        die "CGI script $script was silent for $timeout seconds in the middle of its response\n" unless $output->is_done;
        $bytes = $output->get;
    }
    await $send->({ type => 'http.response.body', body => '', more => 0 });
    return;
}

# Bytes, or undef at the end.
sub _read {
    my ($process) = @_;
    return Future::IO->sysread($process->output, $READ);
}

sub environment {
    my ($scope, $length) = @_;
    my $env = request_environment($scope, $length);
    delete $env->{HTTP_PROXY};    # programs take it for their own proxy setting (RFC 3875 4.1.18, "httpoxy")
    $env->{GATEWAY_INTERFACE} = 'CGI/1.1';
    $env->{SERVER_NAME} //= 'localhost';
    $env->{SERVER_PORT} //= 80;
    $env->{REMOTE_ADDR} //= '';
    $env->{REMOTE_PORT} //= 0;
    $env->{PATH} = $ENV{PATH} // '/usr/local/bin:/usr/bin:/bin';
    return $env;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapCGI - run a CGI script

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::URLMap;
    use PAGI::App::WrapCGI;

    my $script = PAGI::App::WrapCGI->new(script => '/usr/lib/cgi-bin/hello.cgi', timeout => 10);
    my $app    = PAGI::App::URLMap->new->mount('/hello' => $script)->to_app;

=head1 DESCRIPTION

Starts the executable for each request (RFC 3875), with the request body as its standard input and nothing in its environment but the
variables of CGI/1.1, C<HTTP_*>, C<REQUEST_URI>, C<REMOTE_PORT> and C<PATH>. The body is read first, into a temporary file; the output is
streamed as it comes. Other requests go on meanwhile. Standard error is the server's. Other scope types are rejected: the
Future fails.

C<Status: NNN> in the header block sets the status, else it is 302 with C<Location> and 200 without. The answer is 500 when the script
cannot be started, or prints no proper header block; 504 when that takes longer than C<timeout>. When the script is silent for as
long later on, the response is cut off. A script whose client has gone is stopped.

This module needs L<Future::IO>.

=head1 METHODS

=head2 new

=over

=item script

Required path of the executable. Croaks C<PAGI::App::WrapCGI needs script, the path of an executable>.

=item env

Hashref of further environment variables, bytes. Of the server's own environment the script sees C<PATH> only. Croaks
C<PAGI::App::WrapCGI 'env' must be a hashref of variables>.

=item timeout

Seconds, fractions allowed. Default 30.

=back

=head2 to_app

The app.

=head1 FUNCTIONS

=head2 environment

    my $env = PAGI::App::WrapCGI::environment($scope, $length);

The environment of the script as a hashref; C<$length> is the number of bytes in the body.

=cut
