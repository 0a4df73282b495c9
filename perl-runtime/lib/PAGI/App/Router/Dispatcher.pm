package PAGI::App::Router::Dispatcher;

use strict;
use warnings;

use Future;
use PAGI::App::Router::Pattern;
use PAGI::App::Router::Route;
use PAGI::App::Support::Answer qw(answer unsupported);
use Scalar::Util qw(blessed);

sub new {
    my ($class, %args) = @_;
    my $self = bless { not_found => $args{not_found}, mounts => _compiled_mounts($args{mounts}) }, $class;
    $self->{$_} = _table($args{$_}) for qw(http websocket sse);
    return $self;
}

sub to_app {
    my ($self) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        my $type = $scope->{type} // 'http';
        return $self->_http($scope, $receive, $send) if $type eq 'http';
        return Future->done if $type eq 'lifespan';
        return unsupported($scope) if $type ne 'websocket' && $type ne 'sse';
        return $self->_channel($type, $scope, $receive, $send);
    };
}

# Candidates by path, in the order of registration: routes without parameters are found by a look-up, those with
# parameters have to be tried for every path.
sub _table {
    my ($routes) = @_;
    my @routes = map { $_->compiled } @$routes;
    my %by_path = map { $_->{path} => undef } grep { $_->{pattern}->is_literal } @routes;
    for my $path (keys %by_path) {
        $by_path{$path} = [grep { !$_->{pattern}->is_literal || $_->{path} eq $path } @routes];
    }
    return { by_path => \%by_path, others => [grep { !$_->{pattern}->is_literal } @routes] };
}

sub _compiled_mounts {
    my ($mounts) = @_;
    my @compiled;
    for my $mount (@$mounts) {
        my $group = PAGI::App::Router::Pattern->new($mount->{group_prefix});
        push @compiled, {
            # only what a group puts before it can have parameters
            group  => $group->is_literal ? undef : $group,
            prefix => $group->is_literal ? $mount->{group_prefix} . $mount->{prefix} : $mount->{prefix},
            length => length $mount->{group_prefix} . $mount->{prefix},
            app    => PAGI::App::Router::Route::wrapped($mount->{app}, $mount->{middleware}),
        };
    }
    return [sort { $b->{length} <=> $a->{length} } @compiled];
}

sub _candidates {
    my ($table, $path) = @_;
    return $table->{by_path}{$path} || $table->{others};
}

# The parameters if the route takes the path, else undef.
sub _params {
    my ($route, $path) = @_;
    my $params = $route->{pattern}->match($path) or return undef;
    for my $constraint (@{ $route->{constraints} }) {
        my ($name, $regex) = @$constraint;
        return undef unless defined $params->{$name} && $params->{$name} =~ $regex;
    }
    return $params;
}

sub _http {
    my ($self, $scope, $receive, $send) = @_;
    my $path = $scope->{path} // '/';
    my $method = uc($scope->{method} // '');

    my %allowed;
    for my $route (@{ _candidates($self->{http}, $path) }) {
        my $params = _params($route, $path) or next;
        my $methods = $route->{methods};
        return $route->{app}->(_scope_for($scope, $route, $params), $receive, $send)
            if !$methods || $methods->{$method} || ($method eq 'HEAD' && $methods->{GET});
        @allowed{ keys %$methods } = ();
    }
    return _nothing(answer($scope, $send, 405,
        [['content-type', 'text/plain'], ['allow', join ', ', sort keys %allowed]], 'Method Not Allowed')) if %allowed;
    return $self->_elsewhere($path, $scope, $receive, $send);
}

sub _channel {
    my ($self, $type, $scope, $receive, $send) = @_;
    my $path = $scope->{path} // '/';
    for my $route (@{ _candidates($self->{$type}, $path) }) {
        my $params = _params($route, $path) or next;
        return _nothing($route->{app}->(_scope_for($scope, $route, $params), $receive, $send));
    }
    return $self->_elsewhere($path, $scope, $receive, $send);
}

sub _scope_for {
    my ($scope, $route, $params) = @_;
    return { %$scope, path_params => $params, 'pagi.router' => { route => $route->{path} } };
}

sub _elsewhere {
    my ($self, $path, $scope, $receive, $send) = @_;
    for my $mount (@{ $self->{mounts} }) {
        my ($matched, $params) = _mounted_at($mount, $path) or next;
        my $rest = substr $path, length $matched;
        my %inner = (
            %$scope,
            ($params ? (path_params => $params) : ()),
            path      => length $rest ? $rest : '/',
            root_path => ($scope->{root_path} // '') . $matched,
        );
        return _nothing($mount->{app}->(\%inner, $receive, $send));
    }
    return _nothing($self->{not_found}->($scope, $receive, $send)) if $self->{not_found};
    return _nothing(answer($scope, $send, 404, [['content-type', 'text/plain']], 'Not Found'));
}

# The beginning of the path that belongs to the mount, and the parameters in it if there can be any.
sub _mounted_at {
    my ($mount, $path) = @_;
    my $prefix = $mount->{prefix};
    my ($before, $params) = ('', undef);
    if ($mount->{group}) {
        ($before, $params) = $mount->{group}->match_prefix($path) or return;
    }
    my $matched = $before . $prefix;
    return if index($path, $matched) != 0;
    my $rest = substr $path, length $matched, 1;
    return if length $matched && $rest ne '' && $rest ne '/';
    return ($matched, $params);
}

# The same outcome without a value.
sub _nothing {
    my ($future) = @_;
    return $future unless blessed $future && $future->can('then');    # not a Future: the server says so (APP-9)
    return Future->done if $future->is_done;
    return $future->then(sub { Future->done });
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Router::Dispatcher - compiled routes, and the app that looks through them

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Router::Dispatcher;

    my $app = PAGI::App::Router::Dispatcher->new(http => [], websocket => [], sse => [], mounts => [])->to_app;

=head1 DESCRIPTION

What L<PAGI::App::Router/to_app> makes; the router describes the behaviour.

=head1 METHODS

=head2 new

Takes C<http>, C<websocket> and C<sse> (arrayrefs of L<PAGI::App::Router::Route>), C<mounts> (arrayref of hashrefs with C<group_prefix>,
C<prefix>, C<middleware> and C<app>) and C<not_found> (coderef or undef). Middleware is applied here, once.

=head2 to_app

The app.

=cut
