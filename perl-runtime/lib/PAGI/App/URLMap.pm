package PAGI::App::URLMap;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use PAGI::App::Support::Answer qw(answer unsupported);
use PAGI::Utils ();

our @CARP_NOT = qw(PAGI::Utils);

my %KNOWN = map { $_ => 1 } qw(http websocket sse);

sub new {
    my ($class, %args) = @_;
    return bless {
        default => defined $args{default} ? PAGI::Utils::to_app($args{default}) : undef,
        mounts  => [],
    }, $class;
}

sub mount {
    my ($self, $prefix, $app) = @_;
    croak 'mount() needs a path prefix and an app' unless defined $prefix && defined $app;
    $prefix =~ s{/+\z}{};
    push @{ $self->{mounts} }, { prefix => $prefix, app => PAGI::Utils::to_app($app) };
    return $self;
}

sub map {
    my ($self, $apps) = @_;
    croak 'map() needs a hashref of path prefix and app' unless ref $apps eq 'HASH';
    $self->mount($_, $apps->{$_}) for sort keys %$apps;
    return $self;
}

sub to_app {
    my ($self) = @_;
    my @mounts = sort { length $b->{prefix} <=> length $a->{prefix} } @{ $self->{mounts} };
    my $default = $self->{default};
    return sub {
        my ($scope, $receive, $send) = @_;
        my $type = $scope->{type} // 'http';
        return $type eq 'lifespan' ? Future->done : unsupported($scope) unless $KNOWN{$type};

        my $path = $scope->{path} // '/';
        for my $mount (@mounts) {
            my $prefix = $mount->{prefix};
            next if index($path, $prefix) != 0;
            my $rest = substr $path, length $prefix;
            next if length $prefix && length $rest && $rest !~ m{\A/};
            return $mount->{app}->({
                %$scope,
                path      => length $rest ? $rest : '/',
                root_path => ($scope->{root_path} // '') . $prefix,
            }, $receive, $send);
        }
        return $default->($scope, $receive, $send) if $default;
        return answer($scope, $send, 404, [['content-type', 'text/plain']], 'Not Found');
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::URLMap - apps at path prefixes

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Redirect;
    use PAGI::App::URLMap;

    my $map = PAGI::App::URLMap->new(default => 'PAGI::App::NotFound');
    $map->mount('/health' => 'PAGI::App::Healthcheck');
    $map->map({ '/old' => PAGI::App::Redirect->new(to => '/new') });

    my $app = $map->to_app;

=head1 DESCRIPTION

The longest prefix that is the path, or is followed by a slash in it, gets the request. Its app sees the rest of the path (or C</>) as
C<path>, and C<root_path> longer by the prefix. HTTP, WebSocket and SSE are treated alike; a lifespan scope returns at once;
the Future fails for other types.

Without a match comes C<default>, else a 404 C<Not Found> in the event family of the scope.

=head1 METHODS

Apps are whatever L<PAGI::Utils/to_app> takes, and its errors pass through.

=head2 new

    my $map = PAGI::App::URLMap->new(default => $app);

=head2 mount

    $map->mount('/admin' => $app);

Slashes at the end of the prefix are dropped; an empty prefix takes everything. Returns the map. Croaks
C<mount() needs a path prefix and an app>.

=head2 map

    $map->map({ '/admin' => $admin, '/blog' => $blog });

Mounts each. Returns the map. Croaks C<map() needs a hashref of path prefix and app>.

=head2 to_app

The app, with the mounts there are now.

=head1 SEE ALSO

L<PAGI::App::Router>

=cut
