package PAGI::Native::Mounts;
use strict;
use warnings;

our $VERSION = '0.001';

use Future;
use Future::AsyncAwait;
use Scalar::Util ();

# One application of several: a default one, and mounts as hashes with path, app and, for requests of one host only, host.
sub app {
    my ($default, @mounts) = @_;
    $_->{path} =~ s{/+\z}{} for @mounts;
    my @parts = sort { defined $b->{host} <=> defined $a->{host} || length $b->{path} <=> length $a->{path} } @mounts;
    $_->{state} = {} for @parts;
    my $first = { name => 'the application', app => $default };
    return sub {
        my ($scope, $receive, $send) = @_;
        return _lifespan([$first, @parts], $scope, $receive, $send) if $scope->{type} eq 'lifespan';
        my $part = _part_for($scope, \@parts) or return $default->($scope, $receive, $send);
        my $rest = substr $scope->{path}, length $part->{path};
        # PATH-6; SCOPE-8: each application has a state of its own.
        my $inner = {
            %$scope,
            path      => length $rest ? $rest : '/',
            root_path => $scope->{root_path} . $part->{path},
            state     => { %{ $part->{state} } },
        };
        return $part->{app}->($inner, $receive, $send);
    };
}

sub _part_for {
    my ($scope, $parts) = @_;
    my $path = $scope->{path};
    my $host;
    for my $part (@$parts) {
        my $prefix = $part->{path};
        next if index($path, $prefix) != 0;
        my $after = substr $path, length $prefix, 1;
        next if $after ne '' && $after ne '/';
        return $part if !defined $part->{host};
        $host = _host($scope) if !defined $host;
        return $part if $part->{host} eq $host;
    }
    return;
}

sub _host {
    my ($scope) = @_;
    for my $field (@{ $scope->{headers} }) {
        next if $field->[0] ne 'host';
        my ($name) = $field->[1] =~ /\A(.*?)(?::[0-9]*)?\z/s;
        return lc $name;
    }
    return '';
}

# Every application gets both events, and the answers become one. The server calls an application that declines without
# lifespan (LIFE-6); the whole declines only if all of them do.
async sub _lifespan {
    my ($parts, $scope, $receive, $send) = @_;
    await $receive->();
    my @calls = map { _call($_, $scope) } @$parts;
    my @started = map { $_->{started} } @calls;
    await Future->wait_all(@started);
    my @failed = grep { $_->{failed} } @calls;
    if (@failed) {
        my $message = join '; ', map { "$_->{name}: $_->{failed}" } @failed;
        await $send->({ type => 'lifespan.startup.failed', message => $message });
        return;
    }
    my @running = grep { $_->{running} } @calls;
    if (!@running) {
        my $reasons = join '; ', map { "$_->{name}: " . ($_->{declined} // 'it has returned') } @calls;
        die "no application supports lifespan ($reasons)\n";
    }
    await $send->({ type => 'lifespan.startup.complete' });
    await $receive->();
    _deliver($_, 'lifespan.shutdown') for @running;
    my @stopped = map { $_->{stopped} } @running;
    await Future->wait_all(@stopped);
    my @complaints = map { defined $_->{complaint} ? "$_->{name}: $_->{complaint}" : () } @running;
    await $send->(@complaints
        ? { type => 'lifespan.shutdown.failed', message => join '; ', @complaints }
        : { type => 'lifespan.shutdown.complete' });
    return;
}

# Calls one application for lifespan. The call holds what is known of it: the futures started and stopped are done when the
# application has answered, or has ended.
sub _call {
    my ($part, $scope) = @_;
    my $call = {
        name    => $part->{name} // "mount $part->{path}/",
        started => Future->new,
        stopped => Future->new,
        events  => [{ type => 'lifespan.startup' }],
        waiting => [],
    };
    my $receive = sub {
        return Future->done(shift @{ $call->{events} }) if @{ $call->{events} };
        my $future = Future->new;
        push @{ $call->{waiting} }, $future;
        return $future;
    };
    my $send = sub { return _answered($call, $_[0]) };
    my $inner = { %$scope, $part->{state} ? (state => $part->{state}) : () };
    my $future = eval { $part->{app}->($inner, $receive, $send) };
    if (!Scalar::Util::blessed($future) || !$future->isa('Future')) {
        _ended($call, length $@ ? $@ : undef);
        return $call;
    }
    # Kept for as long as the application runs (APP-10).
    $call->{future} = $future;
    $future->on_ready(sub {
        my ($future) = @_;
        _ended($call, scalar $future->failure);
        delete $call->{future};
    });
    return $call;
}

sub _answered {
    my ($call, $event) = @_;
    my $type = ref $event eq 'HASH' ? $event->{type} // '' : '';
    my $is_start = $type =~ /\Alifespan\.startup\./;
    return Future->fail("Unrecognized event type '$type' for lifespan protocol")
        if $type !~ /\Alifespan\.(?:startup|shutdown)\.(?:complete|failed)\z/;
    return Future->fail("cannot send '$type' now") if $is_start ? $call->{started}->is_ready : $call->{stopped}->is_ready;
    my $message = $type =~ /failed\z/ ? $event->{message} // '' : undef;
    if ($is_start) {
        if (defined $message) { $call->{failed} = length $message ? $message : 'startup failed' }
        else { $call->{running} = 1 }
        $call->{started}->done;
    }
    else {
        $call->{complaint} = $message;
        $call->{stopped}->done;
    }
    return Future->done;
}

sub _ended {
    my ($call, $reason) = @_;
    chomp $reason if defined $reason;
    if (!$call->{started}->is_ready) {
        $call->{declined} = $reason;
        $call->{started}->done;
    }
    elsif ($call->{running} && !$call->{stopped}->is_ready) {
        $call->{complaint} = $reason;
        # LIFE-20: one that returns after start-up gets no further events, and is not waited for.
        $call->{stopped}->done;
    }
    return;
}

sub _deliver {
    my ($call, $type) = @_;
    my $event = { type => $type };
    while (my $waiting = shift @{ $call->{waiting} }) {
        next if $waiting->is_ready;
        return $waiting->done($event);
    }
    push @{ $call->{events} }, $event;
    return;
}

1;

__END__

=encoding UTF-8

=head1 NAME

PAGI::Native::Mounts - several applications in one server

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Healthcheck;
    use PAGI::App::NotFound;
    use PAGI::Native::Mounts;

    my $app = PAGI::Native::Mounts::app(
        PAGI::App::NotFound->new->to_app,
        { path => '/health', app => PAGI::App::Healthcheck->new->to_app },
        { path => '/', host => 'health.example.org', app => PAGI::App::Healthcheck->new->to_app },
    );

=head1 DESCRIPTION

What C<--mount> of C<pagi-server> makes of its applications.

=head2 app

    my $app = PAGI::Native::Mounts::app($default, @mounts);

Each mount is a hash reference: C<path> (characters, begins with a slash), C<app> (a code reference) and, for requests of one
host only, C<host> (lower case, without a port). Those of the request's host come first, then those of any; among them the longest
path gets the request. Its application sees the rest of the path as C<path>, never empty, and the mount's path behind C<root_path>;
C<raw_path> stays whole. What no mount takes is for the default application.

Every application is called for lifespan, with a C<state> of its own, and the answers become one: start-up fails when one fails,
with the messages of all that failed. One that declines lifespan is served without it; the whole declines when all do.

=cut
