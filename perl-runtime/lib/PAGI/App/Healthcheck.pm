package PAGI::App::Healthcheck;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::App::Support::Answer qw(answer);
use Scalar::Util qw(blessed);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);
my $LOADED = time;

sub new {
    my ($class, %args) = @_;
    return bless { checks => $args{checks} || {}, version => $args{version} }, $class;
}

sub to_app {
    my ($class) = @_;
    my ($checks, $version) = @{ ref $class ? $class : $class->new }{qw(checks version)};
    my @names = sort keys %$checks;
    return async sub {
        my ($scope, $receive, $send) = @_;
        return if ($scope->{type} // 'http') eq 'lifespan';

        my %results;
        for my $name (@names) {
            $results{$name} = await _result($checks->{$name});
        }
        my $healthy = !grep { $_->{status} ne 'ok' } values %results;
        my $now = time;
        my $body = $JSON->encode({
            status    => $healthy ? 'ok' : 'error',
            timestamp => $now,
            uptime    => $now - $LOADED,
            (defined $version ? (version => $version) : ()),
            (@names ? (checks => \%results) : ()),
        });
        await answer($scope, $send, $healthy ? 200 : 503, [
            ['content-type',   'application/json'],
            ['content-length', length $body],
            ['cache-control',  'no-cache'],
        ], $body);
        return;
    };
}

async sub _result {
    my ($check) = @_;
    my $healthy;
    my $ran = eval {
        $healthy = $check->();
        # A Future is true whatever it will say: wait for the answer itself.
        $healthy = await $healthy if blessed $healthy && $healthy->isa('Future');
        1;
    };
    return { status => $healthy ? 'ok' : 'error' } if $ran;
    (my $message = "$@") =~ s/\s+\z//;
    return { status => 'error', message => $message };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Healthcheck - a JSON health endpoint

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Healthcheck;
    use PAGI::App::URLMap;

    my $health = PAGI::App::Healthcheck->new(
        version => '1.2.0',
        checks  => { disk => sub { -w '/tmp' } },
    );
    my $app = PAGI::App::URLMap->new->mount('/health' => $health)->to_app;

=head1 DESCRIPTION

Any path and method: 200 when all checks are true, else 503, with C<application/json>:

    {"checks":{"disk":{"status":"ok"}},"status":"ok","timestamp":1700000000,"uptime":12,"version":"1.2.0"}

C<timestamp> is in seconds since the epoch, C<uptime> in seconds since this module was loaded. A check that dies adds its
C<message>. WebSocket and SSE scopes get the same in their own event family; a lifespan scope returns at once.

=head1 METHODS

=head2 new

=over

=item checks

Hashref of name and coderef, called without arguments in the order of their names. It returns true or false, or a L<Future>
of that.

=item version

A string to report.

=back

=head2 to_app

The app. Works on the class too.

=cut
