package Lab;

# What the protocol tests' applications have in common: routes by path, short ways to answer, and notes that the test
# reads from a file while the server runs.

use strict;
use warnings;

use Exporter 'import';
use Fcntl qw(O_WRONLY O_APPEND O_CREAT);
use Future;
use Future::AsyncAwait;
use Future::IO;

our @EXPORT = qw(route app note outcome try_events answer start body drain_body kind_of send_until_blocked);

my %routes;

# A handler for one path. It is called as the application itself is.
sub route {
    my ($path, $handler) = @_;
    $routes{$path} = $handler;
    return;
}

# The application. A plain sub, so that a handler's exception or odd return value reaches the server untouched.
sub app {
    return sub {
        my ($scope, $receive, $send) = @_;
        die "lifespan is not needed here\n" if $scope->{type} eq 'lifespan';
        my $handler = $routes{ $scope->{path} } || $routes{'*'} || \&_no_route;
        return $handler->($scope, $receive, $send);
    };
}

async sub _no_route {
    my ($scope, $receive, $send) = @_;
    await answer($send, 404, 'no route');
}

# Appends one line to the notes of the test.
sub note {
    my $line = join ' ', map { defined $_ ? $_ : 'undef' } @_;
    sysopen my $notes, $ENV{LAB_NOTES}, O_WRONLY | O_APPEND | O_CREAT or die "cannot open $ENV{LAB_NOTES}: $!";
    syswrite $notes, "$line\n";
    close $notes;
    return;
}

# 'ok', or 'failed: MESSAGE', of a Future.
async sub outcome {
    my ($future) = @_;
    my $ok = eval { await $future; 1 };
    return 'ok' if $ok;
    my $error = "$@";
    $error =~ s/\s+\z//;
    return "failed: $error";
}

# Sends labelled events one after the other; returns lines "LABEL: ok" or "LABEL: failed".
async sub try_events {
    my ($send, @cases) = @_;
    my @lines;
    while (@cases) {
        my ($label, $event) = splice @cases, 0, 2;
        my $result = await outcome($send->($event));
        $result =~ s/:.*//s;
        push @lines, "$label: $result";
    }
    return @lines;
}

# A whole response with content-length.
async sub answer {
    my ($send, $status, $text, @headers) = @_;
    await $send->({
        type    => 'http.response.start',
        status  => $status,
        headers => [ [ 'content-type', 'text/plain' ], [ 'content-length', length $text ], @headers ],
    });
    await $send->({ type => 'http.response.body', body => $text });
    return;
}

# A response start.
sub start {
    my ($send, $status, @headers) = @_;
    return $send->({ type => 'http.response.start', status => $status, headers => \@headers });
}

# A body event.
sub body {
    my ($send, $bytes, $more) = @_;
    return $send->({ type => 'http.response.body', body => $bytes, more => $more ? 1 : 0 });
}

# Reads the request body to its end; returns it, or undef when the client went away first.
async sub drain_body {
    my ($receive) = @_;
    my $content = '';
    while (1) {
        my $event = await $receive->();
        return undef if $event->{type} =~ /disconnect/;
        $content .= $event->{body};
        return $content unless $event->{more};
    }
}

# Makes sends until one stays pending although the kernel had time to take all it wants; returns that Future.
async sub send_until_blocked {
    my ($make) = @_;
    for my $number (1 .. 500) {
        my $future = $make->();
        next if $future->is_ready;
        await Future::IO->sleep(0.2);
        return $future unless $future->is_ready;
    }
    die "nothing ever blocks\n";
}

# What kind of scalar a value is: 'int', 'num', 'str', 'undef' or its reference type.
sub kind_of {
    my ($value) = @_;
    return 'undef' unless defined $value;
    return ref $value if ref $value;
    require B;
    my $flags = B::svref_2object(\$value)->FLAGS;
    return 'str' if $flags & B::SVf_POK();
    return 'int' if $flags & B::SVf_IOK();
    return 'num';
}

1;
