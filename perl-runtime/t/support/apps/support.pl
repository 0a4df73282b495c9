use strict;
use warnings;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Lifespan;
use PAGI::Session;
use PAGI::Stash;
use PAGI::Utils qw(handle_lifespan to_app);

# What t/support/backends.t asks for: nested lifespan wrappers, with an application inside that reads lifespan events itself.
my $json = JSON::MaybeXS->new(utf8 => 1, canonical => 1);

my $inner = async sub {
    my ($scope, $receive, $send) = @_;
    if ($scope->{type} eq 'lifespan') {
        await handle_lifespan($scope, $receive, $send, startup => async sub { push @{ $_[0]{order} }, 'application' });
        return;
    }
    die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'http';
    PAGI::Stash->new($scope)->set(from => 'outer', n => 1);
    my $copy = {%$scope};
    PAGI::Stash->new($copy)->set(n => 2);
    my $error = do { eval { PAGI::Session->new($scope) }; $@ };
    my $answer = $json->encode({ order => $scope->{state}{order}, stash => PAGI::Stash->new($scope)->data, error => $error, count => ++$scope->{state}{served}{count} });
    await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'application/json' ] ] });
    await $send->({ type => 'http.response.body', body => $answer });
};
my $middle = PAGI::Lifespan->new(app => $inner);
$middle->on_startup(sub { push @{ $_[0]{order} }, 'middle 1' })->register(startup => async sub { push @{ $_[0]{order} }, 'middle 2' });
to_app(PAGI::Lifespan->wrap($middle->to_app, startup => sub { my ($state) = @_; push @{ $state->{order} }, 'outer'; $state->{served} = {} }));
