package PAGI::Middleware::Support::Authentication;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future;
use Scalar::Util qw(blessed);
use PAGI::Middleware::Support::Paths;
use PAGI::Middleware::Support::Reply qw(reply);

# Which requests are guarded, for the name that stands in messages.
sub _init_guard {
    my ($self, $name, $config) = @_;
    $self->{paths} = PAGI::Middleware::Support::Paths->prefixes("$name 'paths'", $config->{paths})
        if defined $config->{paths};
    $self->{applies} = $self->_guarded_scope_types($config, qw(http sse));
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            if !$self->{applies}{ $scope->{type} }
            || ($self->{paths} && !$self->{paths}->contains($scope->{path}));
        return $self->_guarded($app, $scope, $receive, $send);
    };
}

# A Future is true whatever it will say: the verdict is what it says.
sub _verdict {
    my ($self, $answer) = @_;
    return blessed $answer && $answer->isa('Future') ? $answer : Future->done($answer);
}

sub _refuse {
    my ($self, $scope, $send, $text) = @_;
    return reply($scope, $send, 401, [
        [ 'Content-Type',     'text/plain' ],
        [ 'Content-Length',   length $text ],
        [ 'WWW-Authenticate', $self->{challenge} ],
    ], $text);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::Authentication - what Basic and Bearer have in common

=head1 SYNOPSIS

    package My::Middleware::Auth::Ticket;
    use parent 'PAGI::Middleware::Support::Authentication';
    use Future::AsyncAwait;

    sub _init {
        my ($self, $config) = @_;
        $self->_init_guard('Auth::Ticket', $config);
        $self->{check}     = $config->{check};
        $self->{challenge} = 'Ticket';
        return;
    }

    async sub _guarded {
        my ($self, $app, $scope, $receive, $send) = @_;
        my $user = await $self->_verdict($self->{check}->($scope));
        return await $self->_refuse($scope, $send, 'No ticket') unless $user;
        return await $app->({ %$scope, 'pagi.auth' => { type => 'ticket', username => $user } }, $receive, $send);
    }

=head1 DESCRIPTION

A middleware that asks for credentials has the options C<paths> and C<scope_types>, waits for a verdict that may be a L<Future>, and refuses with a
401 and a challenge, in the family of the scope. This is that part; C<_guarded> of the subclass is called for requests that are guarded.

=head1 METHODS

=head2 wrap

See L<PAGI::Middleware/wrap>.

=cut
