package PAGI::App::Cascade;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;
use PAGI::App::Cascade::Attempt;
use PAGI::App::Cascade::Replay;
use PAGI::App::Support::Answer qw(answer);
use PAGI::Utils ();

our @CARP_NOT = qw(PAGI::Utils);

sub new {
    my ($class, %args) = @_;
    return bless {
        apps  => [map { PAGI::Utils::to_app($_) } @{ $args{apps} || [] }],
        catch => $args{catch} || [404, 405],
    }, $class;
}

sub add {
    my ($self, $app) = @_;
    push @{ $self->{apps} }, PAGI::Utils::to_app($app);
    return $self;
}

sub to_app {
    my ($self) = @_;
    my @apps = @{ $self->{apps} };
    my %catch = map { $_ => 1 } @{ $self->{catch} };
    my $last = pop @apps;
    return sub {
        my ($scope, $receive, $send) = @_;
        my $lifespan = ($scope->{type} // 'http') eq 'lifespan';
        return $last->($scope, $receive, $send) if $last && !@apps;
        return _try($scope, $receive, $send, \@apps, $last, $lifespan ? undef : \%catch) if $last;
        return $lifespan ? Future->done : answer($scope, $send, 404, [['content-type', 'text/plain']], 'Not Found');
    };
}

async sub _try {
    my ($scope, $receive, $send, $apps, $last, $catch) = @_;
    my $replay = PAGI::App::Cascade::Replay->new($receive);
    for my $app (@$apps) {
        my $attempt = PAGI::App::Cascade::Attempt->new($scope, $send, $catch, $replay);
        # A copy each: what toolkit classes keep in the scope (a body already read) is about this attempt.
        my $future = $app->({ %$scope }, $replay->receive, $attempt->send);
        if ($catch) {
            await $future;
        }
        else {
            # An app without lifespan support throws, or returns without an answer (LIFE-6).
            await $future->else(sub { $attempt->was_taken ? Future->fail(@_) : Future->done });
        }
        return if $attempt->was_taken || ($catch && !$attempt->was_caught);
    }
    await $last->({ %$scope }, $replay->final_receive, $send);
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Cascade - try apps until one takes the request

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Cascade;
    use PAGI::App::File;

    my $app = PAGI::App::Cascade->new(
        apps  => [PAGI::App::File->new(root => '.'), 'PAGI::App::NotFound'],
        catch => [403, 404, 405],
    )->to_app;

=head1 DESCRIPTION

The first app whose response has none of the statuses in C<catch> answers. That is decided at its start event, so responses are
streamed; what an app with a caught status sends is dropped, and the next app begins when it has ended. The last app
answers in any case. An app that ends without a start event ends the cascade.

Request events read by one app are given to the next ones again, so a body that is read before the decision is kept in memory.

WebSocket and SSE scopes go the same way by the status of a denial; C<websocket.accept> and C<sse.start> take the request. A
C<websocket.close> before accept, the only refusal there is where the server does not advertise C<websocket.http.response>, passes the
request on. A lifespan scope goes to the first app that answers it.

=head1 METHODS

Apps are whatever L<PAGI::Utils/to_app> takes.

=head2 new

=over

=item apps

Arrayref. Without any app the answer is 404.

=item catch

Arrayref of statuses. Default C<[404, 405]>.

=back

=head2 add

    $cascade->add($app);

Appends an app. Returns the cascade.

=head2 to_app

The app, with the apps there are now.

=cut
