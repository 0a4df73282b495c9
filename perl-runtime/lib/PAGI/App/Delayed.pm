package PAGI::App::Delayed;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::App::Support::Answer qw(answer);
use PAGI::Middleware::Support::Seconds qw(check_seconds);
use PAGI::Utils ();
use Scalar::Util qw(blessed);

our @CARP_NOT = qw(PAGI::Utils PAGI::Middleware::Support::Seconds);

sub new {
    my ($class, %args) = @_;
    check_seconds("PAGI::App::Delayed 'delay'", $args{delay})     if $args{delay};
    check_seconds("PAGI::App::Delayed 'timeout'", $args{timeout}) if $args{timeout};
    croak "PAGI::App::Delayed 'wait' must be a coderef" if defined $args{wait} && ref $args{wait} ne 'CODE';
    require Future::IO if $args{delay} || $args{timeout};
    return bless { %args, app => PAGI::Utils::to_app($args{app}) }, $class;
}

sub to_app {
    my ($self) = @_;
    my ($app, $delay, $wait, $timeout) = @$self{qw(app delay wait timeout)};
    return async sub {
        my ($scope, $receive, $send) = @_;
        return await $app->($scope, $receive, $send) if ($scope->{type} // 'http') eq 'lifespan';

        await Future::IO->sleep($delay) if $delay;
        if ($wait && !await _came($wait->($scope), $timeout)) {
            await answer($scope, $send, 504, [['content-type', 'text/plain']], 'Gateway Timeout');
            return;
        }
        return await $app->($scope, $receive, $send);
    };
}

# Whether the Future was done in time. What it waits for may be shared by many requests, so it is not cancelled.
async sub _came {
    my ($future, $timeout) = @_;
    return 1 unless blessed $future && $future->isa('Future');
    if ($timeout && !$future->is_ready) {
        my $timer = Future::IO->sleep($timeout);
        await Future->wait_any($timer, $future->without_cancel->else(sub { Future->done }));
        return 0 unless $future->is_ready;
    }
    await $future;
    return 1;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Delayed - an app that starts later

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::App::Delayed;

    my $database_is_up = Future->done;
    my $app = PAGI::App::Delayed->new(
        app     => 'PAGI::App::Healthcheck',
        delay   => 0.1,
        wait    => sub { my ($scope) = @_; return $database_is_up },
        timeout => 5,
    )->to_app;

=head1 DESCRIPTION

Each HTTP, WebSocket or SSE scope waits before it is passed to the app: first C<delay>, then until the Future of C<wait> is done. Other
requests go on meanwhile. If that takes longer than C<timeout>, the answer is 504 C<Gateway Timeout> in the event family of
the scope; if the Future fails, so does the request. A lifespan scope is passed on at once.

=head1 METHODS

=head2 new

=over

=item app

Required; whatever L<PAGI::Utils/to_app> takes.

=item delay

Seconds, fractions allowed.

=item wait

Coderef called with the scope; returns a L<Future>, which may be shared and is never cancelled, or a plain value, which is not waited for.

=item timeout

Seconds to wait for C<wait>, fractions allowed; without it there is no limit.

=back

Croaks C<PAGI::App::Delayed 'wait' must be a coderef> and
C<PAGI::App::Delayed 'delay' must be a number of seconds above 0, got 'X'>. Times need L<Future::IO>.

=head2 to_app

The app.

=cut
