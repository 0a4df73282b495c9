package PAGI::Middleware::Healthcheck;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future::AsyncAwait;
use JSON::MaybeXS ();
use Scalar::Util qw(blessed);
use PAGI::Middleware::Support::Reply qw(reply);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);

sub _init {
    my ($self, $config) = @_;
    $self->{path}            = $config->{path} // '/health';
    $self->{live_path}       = $config->{live_path};
    $self->{ready_path}      = $config->{ready_path};
    $self->{checks}          = $config->{checks} // {};
    $self->{include_details} = $config->{include_details} // 1;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    my ($live, $ready, $main) = @$self{qw(live_path ready_path path)};
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';
        my $path = $scope->{path} // '';
        return _answer($scope, $send, { status => 'ok' }) if defined $live && $path eq $live;
        return $self->_checked($scope, $send, 'ready') if defined $ready && $path eq $ready;
        return $self->_checked($scope, $send, 'main')  if $path eq $main;
        return $app->($scope, $receive, $send);
    };
}

async sub _checked {
    my ($self, $scope, $send, $which) = @_;
    my %results;
    my @names = sort keys %{ $self->{checks} };
    while (defined(my $name = shift @names)) {
        $results{$name} = await _run($self->{checks}{$name});
    }
    my $failed = grep { $_->{status} ne 'ok' } values %results;
    my %report = (status => $failed ? 'error' : 'ok');
    $report{timestamp} = time if $which eq 'main';
    $report{checks} = \%results
        if $self->{include_details} && ($which eq 'ready' || %results);
    await _answer($scope, $send, \%report);
    return;
}

async sub _run {
    my ($check) = @_;
    my $healthy;
    my $ran = eval {
        $healthy = $check->();
        # A Future is true whatever it will say: wait for the answer itself.
        $healthy = await $healthy if blessed $healthy && $healthy->isa('Future');
        1;
    };
    if (!$ran) {
        (my $message = "$@") =~ s/\s+\z//;
        return { status => 'error', message => $message };
    }
    return { status => $healthy ? 'ok' : 'error' };
}

sub _answer {
    my ($scope, $send, $report) = @_;
    my $body = $JSON->encode($report);
    return reply($scope, $send, $report->{status} eq 'ok' ? 200 : 503, [
        [ 'Content-Type',   'application/json' ],
        [ 'Content-Length', length $body ],
        [ 'Cache-Control',  'no-cache, no-store' ],
    ], $body);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Healthcheck - health, live and ready endpoints

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $dbh;
    my $app = builder {
        enable 'Healthcheck',
            live_path  => '/live',
            ready_path => '/ready',
            checks     => { database => sub { $dbh && $dbh->ping } };
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes whose path is exactly one of the configured ones, with any method; everything else
passes. Enable it outside C<Maintenance>, authentication and rate limits, so that probes get through.

    live_path    200 {"status":"ok"}, no checks run
    ready_path   checks; status and checks
    path         checks; status, timestamp (epoch seconds) and checks, if there are any

200 when all checks are true, else 503 with C<"status":"error">. A check that dies adds its C<message>: where
the endpoint is public, set C<include_details> to 0.

=head1 OPTIONS

=over 4

=item path

Default C</health>.

=item live_path, ready_path

Default none.

=item checks

Hash reference of name and coderef, run one after the other in the order of their names. A check returns
true or false, or a L<Future> of that.

=item include_details

Default 1. 0 leaves C<checks> out.

=back

=cut
