package PAGITest::Backends;

# One test for both ways an application can run: in this process under PAGI::Test::Client, and under the real server.
#
#     use lib 't/lib';
#     use PAGITest::Backends qw(each_backend);
#
#     each_backend('t/apps/hello.pl', sub {
#         my ($client, $backend) = @_;    # $backend: 'in-process' or 'server'
#         is $client->get('/')->text, 'Hello', 'greets';
#     });
#
# The application is the path of a file, or a string of code, whose last value is the app. Options may follow the callback:
#     lifespan => 1      run startup and shutdown in-process too (the server always does)
#     server_args => []  further command line arguments for the server
#     env => {}          environment of the server
#
# Each backend is one subtest. The server is $ENV{PAGI_SERVER} or the release or debug build of this repository. Without one the
# second subtest is left out and a diagnostic says so; with $ENV{PAGI_REQUIRE_SERVER} that is a failure.

use strict;
use warnings;

use Carp qw(croak);
use Cwd ();
use Exporter qw(import);
use File::Basename ();
use File::Temp ();
use PAGI::Test::Client;
use PAGITest::ServerClient;
use PAGITest::ServerProcess;
use Test2::API ();

our @EXPORT_OK = qw(each_backend server_binary);

my $RUNTIME = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../..');    # perl-runtime
my $told;

sub each_backend {
    my ($app, $test, %options) = @_;
    croak 'each_backend needs an application and a callback' unless defined $app && ref $test eq 'CODE';

    my ($file, $guard) = _file_of($app);
    Test2::API::run_subtest('in-process', sub { _in_process($file, $test, \%options) }, { buffered => 1 });

    my $binary = server_binary();
    if (!defined $binary) {
        my $context = Test2::API::context();
        if ($ENV{PAGI_REQUIRE_SERVER}) {
            $context->ok(0, 'server backend', ['PAGI_REQUIRE_SERVER is set and there is no pagi-server to run']);
        }
        elsif (!$told++) {
            $context->diag('no pagi-server found: tested in-process only (see PAGI_SERVER)');
        }
        $context->release;
        return;
    }
    Test2::API::run_subtest('server', sub { _on_server($binary, $file, $test, \%options) }, { buffered => 1 });
    return;
}

sub server_binary {
    return $ENV{PAGI_SERVER} if defined $ENV{PAGI_SERVER} && length $ENV{PAGI_SERVER};
    for my $build (qw(release debug)) {
        my $binary = "$RUNTIME/../target/$build/pagi-server";
        return Cwd::abs_path($binary) if -x $binary;
    }
    return undef;
}

# The path of the application file and, for a string of code, the object that keeps the temporary file alive.
sub _file_of {
    my ($app) = @_;
    if ($app !~ /\n/ && -f $app) {
        return (Cwd::abs_path($app), undef);
    }
    croak "There is no application file $app" if $app !~ /[\s;]/;
    my $temp = File::Temp->new(SUFFIX => '.pl');
    print {$temp} $app;
    close $temp or die "Cannot write $temp: $!\n";
    return ("$temp", $temp);
}

sub _in_process {
    my ($file, $test, $options) = @_;
    local %ENV = (%ENV, %{ $options->{env} || {} });
    my $app = _load($file);
    my $client = PAGI::Test::Client->new(app => $app, lifespan => $options->{lifespan})->start;
    my $ok = eval { $test->($client, 'in-process'); 1 };
    my $error = $@;
    $client->stop;
    die $error unless $ok;
    return;
}

sub _load {
    my ($file) = @_;
    local ($@, $!);
    my $app = do $file;
    die "Cannot compile $file: $@" if $@;
    die "Cannot read $file: $!\n" unless defined $app;
    return $app;
}

sub _on_server {
    my ($binary, $file, $test, $options) = @_;
    my $server = PAGITest::ServerProcess->new(
        binary => $binary,
        args   => [@{ $options->{server_args} || [] }, '--port', 0, $file],
        env    => {
            %{ $options->{env} || {} },
            PERL5LIB => join ':', "$RUNTIME/lib", "$RUNTIME/t/lib", grep { defined && length } $ENV{PERL5LIB},
        },
    );
    my $client = PAGITest::ServerClient->new(port => $server->port);
    my $ok = eval { $test->($client, 'server'); 1 };
    my $error = $@;
    $server->stop;
    die $error . $server->log unless $ok;
    return;
}

1;
