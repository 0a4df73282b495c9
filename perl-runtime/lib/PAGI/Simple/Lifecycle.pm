package PAGI::Simple::Lifecycle;

use strict;
use warnings;

use Carp qw(croak);
use Future::AsyncAwait;
use PAGI::Simple::Callback;

sub on {
    my ($self, $event, $code) = @_;
    croak 'Unknown lifecycle event: ' . (defined $event ? $event : 'undef') . ' (expected startup or shutdown)'
        unless defined $event && $self->{hooks}{$event};
    croak "on '$event' needs a coderef" unless ref $code eq 'CODE';
    push @{ $self->{hooks}{$event} }, $code;
    return $self;
}

sub _lifespan {
    my ($self, $scope, $receive, $send) = @_;
    require PAGI::Utils;
    return PAGI::Utils::handle_lifespan(
        $scope, $receive, $send,
        startup => sub {
            my ($state) = @_;
            my $pagi = $scope->{pagi} || {};
            my $number = defined $pagi->{worker_num} ? $pagi->{worker_num} : $scope->{'pagi.worker_num'};
            $self->_banner if !$self->{quiet} && (!defined $number || $number <= 1);
            return $self->_startup;
        },
        shutdown => sub { $self->_shutdown },
    );
}

sub _banner {
    my ($self) = @_;
    my @lines = ("Starting '$self->{name}'", "home: $self->{home}", "namespace: $self->{namespace}");
    push @lines, "lib: $self->{lib_dir}" if defined $self->{lib_dir};
    push @lines, 'shared: ' . join(', ', sort keys %{ $self->{shared} }) if $self->{shared};
    push @lines, "templates: $self->{view_options}{directory}" if $self->{view_options};
    my @services = $self->_services->names;
    push @lines, 'services: ' . join(', ', @services) if @services;
    push @lines, 'workers: blocking code runs in child processes' if $self->{workers};
    print STDERR map { "[PAGI::Simple] $_\n" } @lines;
    return;
}

# Once per process, however often an application is mounted.
async sub _startup {
    my ($self) = @_;
    return if $self->{running} && $self->{running} == $$;
    $self->{running} = $$;
    $self->_services->start;
    $self->_blocking if $self->{workers};
    my @hooks = @{ $self->{hooks}{startup} };
    while (my $hook = shift @hooks) {
        my $result = $hook->($self);
        await $result if PAGI::Simple::Callback::is_future($result);
    }
    my @children = @{ $self->{children} };
    while (my $child = shift @children) {
        await $child->_startup;
    }
    return;
}

async sub _shutdown {
    my ($self) = @_;
    return unless delete $self->{running};
    my @children = reverse @{ $self->{children} };
    while (my $child = shift @children) {
        await $child->_shutdown;
    }
    my @hooks = @{ $self->{hooks}{shutdown} };
    while (my $hook = shift @hooks) {
        next if eval {
            my $result = $hook->($self);
            await $result if PAGI::Simple::Callback::is_future($result);
            1;
        };
        warn "PAGI::Simple shutdown hook error: $@";
    }
    $self->{blocking}->stop if $self->{blocking};
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Lifecycle - how an application starts and stops

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Life');    # has these methods
    $app->on(startup => sub { my ($self) = @_; $self->stash->{started} = time });
    $app->get('/' => sub { my ($c) = @_; $c->text($c->app->stash->{started}) });
    $app->to_app;

=head1 DESCRIPTION

The part of L<PAGI::Simple> that answers lifespan events. At the start: a few lines on STDERR about the application (but see C<quiet>), services, the
processes for blocking work, hooks, then the applications mounted below. A failure stops the server. At the end the same backwards; a hook that fails is warned
about and stops no other.

=head1 METHODS

=head2 on

    $app->on(startup => async sub { my ($app) = @_; ... });
    $app->on(shutdown => sub { my ($app) = @_; ... });

Once per worker process, in order, Futures being awaited; for mounted PAGI::Simple applications as well. A startup hook that dies stops the
server. Failing shutdown hooks are warned about. Other names die with C<Unknown lifecycle event: ...>.

=head1 SEE ALSO

L<PAGI::Simple>

=cut
