package PAGI::Simple::Mount;

use strict;
use warnings;

use Future::AsyncAwait;
use PAGI::Simple::Context;
use PAGI::Simple::ErrorPage;
use PAGI::Simple::Middleware;
use PAGI::Utils ();
use Scalar::Util qw(weaken);

sub new {
    my ($class, %args) = @_;
    my $self = bless {%args}, $class;    # parent, prefix, target, middleware
    weaken($self->{parent});
    return $self;
}

sub prefix { return $_[0]{prefix} }
sub target { return $_[0]{target} }

sub covers {
    my ($self, $path) = @_;
    my $prefix = $self->{prefix};
    return $path eq $prefix || index($path, "$prefix/") == 0 ? 1 : 0;
}

# PATH-6: what is removed from path is added to root_path.
sub child_scope {
    my ($self, $scope) = @_;
    my $root = defined $scope->{root_path} ? $scope->{root_path} : '';
    my $rest = substr $scope->{path}, length $self->{prefix};
    return {
        'pagi.simple.full_path' => $root . $scope->{path},    # the client's, unless an outer mount knows it already
        %$scope,
        path      => length $rest ? $rest : '/',
        root_path => $root . $self->{prefix},
    };
}

# Made at the first request: middleware enabled after the mount counts as well.
sub _app { return $_[0]{app} ||= PAGI::Utils::to_app($_[0]{target}) }

sub run {
    my ($self, $scope, $receive, $send) = @_;
    return $self->_app->($self->child_scope($scope), $receive, $send) unless @{ $self->{middleware} };
    return $self->_guarded($scope, $receive, $send);
}

async sub _guarded {
    my ($self, $scope, $receive, $send) = @_;
    my $c = PAGI::Simple::Context->new(app => $self->{parent}, scope => $scope, receive => $receive, send => $send);
    my $inside = 0;
    my $inner = sub {
        $inside = 1;
        my $next = $c->{send};
        my $watched = sub {
            $c->{started} = 1 if ref $_[0] eq 'HASH' && ($_[0]{type} || '') =~ /\.(?:start|accept)\z/;
            return $next->(@_);
        };
        return $self->_app->($self->child_scope($c->{scope}), $c->{receive}, $watched);
    };
    my $ok = eval { await PAGI::Simple::Middleware->run($c, $self->{middleware}, $inner); 1 };
    my $error = $@;
    if (!$ok) {
        await PAGI::Simple::ErrorPage->for_exception($c, $error);
    }
    elsif (!$inside && !$c->{started}) {
        await PAGI::Simple::ErrorPage->send($c, 403);
    }
    while (my $future = shift @{ $c->{pending} || [] }) {
        await $future;
    }
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Mount - an application below a prefix

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $api = PAGI::Simple->new(name => 'API', quiet => 1);
    $api->get('/status' => sub { $_[0]->json({ at => $_[0]->full_path }) });    # {"at":"/api/status"}

    my $app = PAGI::Simple->new(name => 'Site', quiet => 1);
    $app->mount('/api' => $api);

=head1 DESCRIPTION

The child gets a copy of the scope whose C<path> is the rest (C</> when nothing is left) and whose C<root_path> is longer by
the prefix, so nested mounts add up. Middleware of the mount is looked up in the parent and guards every kind of request; an
exception in it goes to the parent's error handlers.

=head1 METHODS

=head2 new

C<parent>, C<prefix>, C<target> (see L<PAGI::Utils/to_app>), C<middleware>.

=head2 prefix, target

As given.

=head2 covers

1 if the path is the prefix or below it.

=head2 child_scope

The scope for the child.

=head2 run

    my $future = $mount->run($scope, $receive, $send);

=cut
