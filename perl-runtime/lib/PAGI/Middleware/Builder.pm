package PAGI::Middleware::Builder;

use strict;
use warnings;

use Carp qw(croak carp);
use Exporter qw(import);
use Scalar::Util qw(blessed);
use PAGI::Utils ();

our @EXPORT = qw(builder enable enable_if mount);

# The builder whose block is running; local() makes builders nest.
our $CURRENT;

sub builder (&) {
    my ($block) = @_;
    local $CURRENT = __PACKAGE__->new;
    my $inner = $block->();
    return $CURRENT->to_app($inner);
}

# The three words are functions inside a block and methods on a builder object.
sub enable {
    return shift->add_middleware(@_) if _is_builder($_[0]);
    croak 'enable() must be called inside builder {}' unless $CURRENT;
    return $CURRENT->_add('enable', undef, @_);
}

sub enable_if (&$;@) {
    return shift->add_middleware_if(@_) if _is_builder($_[0]);
    croak 'enable_if() must be called inside builder {}' unless $CURRENT;
    return $CURRENT->_add('enable_if', @_);
}

sub mount {
    return shift->add_mount(@_) if _is_builder($_[0]);
    croak 'mount() must be called inside builder {}' unless $CURRENT;
    return $CURRENT->add_mount(@_);
}

sub new {
    my ($class) = @_;
    return bless { middleware => [], mounts => [] }, $class;
}

sub add_middleware {
    my ($self, $middleware, %config) = @_;
    return $self->_add('enable', undef, $middleware, %config);
}

sub add_middleware_if {
    my ($self, $condition, $middleware, %config) = @_;
    return $self->_add('enable_if', $condition, $middleware, %config);
}

sub add_mount {
    my ($self, $path, $app) = @_;
    croak 'mount() requires a path' unless defined $path;
    $path =~ s{/\z}{};
    $path = "/$path" if $path ne '' && $path !~ m{\A/};
    push @{ $self->{mounts} }, [ $path, PAGI::Utils::to_app($app) ];
    return $self;
}

sub to_app {
    my ($self, $inner) = @_;
    my $app = $self->_routed(PAGI::Utils::to_app($inner));
    for my $entry (reverse @{ $self->{middleware} }) {
        # A module that exists but does not compile is a mistake, not an inline package.
        croak "Could not load $entry->{class}: $entry->{broken}" if defined $entry->{broken};
        my $wrapped = ($entry->{object} // $entry->{class}->new(@{ $entry->{config} }))->wrap($app);
        $app = $entry->{condition} ? _choice($entry->{condition}, $wrapped, $app) : $wrapped;
    }
    return $app;
}

sub _is_builder { return blessed $_[0] && $_[0]->isa(__PACKAGE__) }

sub _add {
    my ($self, $word, $condition, $middleware, @config) = @_;
    croak "$word() requires a middleware name or object" unless defined $middleware;
    if (blessed $middleware) {
        croak "$word() with a middleware instance takes no config (configure it at construction time)"
            if @config;
        croak ref($middleware) . ' does not look like middleware (no wrap method)'
            unless $middleware->can('wrap');
        push @{ $self->{middleware} }, { condition => $condition, object => $middleware };
        return $self;
    }
    my $class = $self->_resolve_middleware($middleware);
    my $broken = _load($class);
    push @{ $self->{middleware} },
        { condition => $condition, class => $class, config => \@config, broken => $broken };
    return $self;
}

sub _resolve_middleware {
    my ($self, $name) = @_;
    my $class = "PAGI::Middleware::$name";
    $class =~ s/.*\^//s;
    return $class;
}

# A failure is not fatal here: the package may be defined inline, even further down.
# What went wrong is kept for to_app.
sub _load {
    my ($class) = @_;
    local $@;
    return if $class !~ /\A\w+(?:::\w+)*\z/a;
    return if $class->can('new') && $class->can('wrap');
    (my $file = "$class.pm") =~ s{::}{/}g;
    return if eval { require $file; 1 };
    my $error = $@;
    carp "Warning: Could not load $class: $error" if $ENV{PAGI_DEBUG};
    return $error =~ /\ACan't locate \Q$file\E in \@INC/ ? undef : $error;
}

sub _choice {
    my ($condition, $wrapped, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return ($condition->($scope) ? $wrapped : $app)->($scope, $receive, $send);
    };
}

sub _routed {
    my ($self, $inner) = @_;
    my @mounts = sort { length $b->[0] <=> length $a->[0] } @{ $self->{mounts} }
        or return $inner;
    return sub {
        my ($scope, $receive, $send) = @_;
        my $path = $scope->{path};
        return $inner->($scope, $receive, $send) unless defined $path;    # lifespan
        for my $mount (@mounts) {
            my ($prefix, $app) = @$mount;
            next unless $path eq $prefix || index($path, "$prefix/") == 0;
            my $rest = substr $path, length $prefix;
            my %inside = (
                %$scope,
                path      => length $rest ? $rest : '/',
                root_path => ($scope->{root_path} // '') . $prefix,
            );
            return $app->(\%inside, $receive, $send);
        }
        return $inner->($scope, $receive, $send);
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Builder - put middleware and mounts around an application

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $inner = sub { my ($scope, $receive, $send) = @_; ... };
    my $api   = sub { my ($scope, $receive, $send) = @_; ... };

    my $app = builder {
        enable 'AccessLog', format => 'common';
        enable 'ErrorHandler';
        enable_if { $_[0]{path} =~ m{^/admin} } 'Auth::Basic',
            authenticator => sub { my ($user, $password) = @_; ... };
        mount '/api' => $api;
        $inner;
    };

The same with an object:

    my $app = PAGI::Middleware::Builder->new
        ->enable('AccessLog', format => 'common')
        ->mount('/api', $api)
        ->to_app($inner);

=head1 DESCRIPTION

The first middleware enabled is the outermost: it sees the request first and the
response last. All mounts together form one router directly around the inner
application, so every middleware wraps every mount, whatever the order of the lines.
F<docs/middleware.md> in the distribution shows an order that works.

=head1 FUNCTIONS

Exported by default.

=head2 builder { ... }

Runs the block and returns the composed application. The block's last value is the inner
application: a coderef, an object with C<to_app>, or a class name (see
L<PAGI::Utils/to_app>). A block without one dies with
C<to_app() requires an app, component, or class name>. Builders nest.

=head2 enable NAME, %config; enable($object)

Adds middleware. The object form needs the parentheses (without them Perl reads an
indirect method call) and takes no configuration.

=head2 enable_if { CONDITION } NAME, %config; enable_if { CONDITION } ($object)

Adds middleware that is used only when the condition is true. The condition is called
with the scope for each connection, of every scope type including C<lifespan>. The
middleware itself is made once, when the application is built, so a wrong option is
reported then.

=head2 mount PATH => APP

Sends every scope whose path is PATH or below it to APP, with PATH moved from C<path> to the
end of C<root_path>. The longest matching mount wins; no match goes to the inner application.
C<mount '/'> takes everything the others do not. A scope without a path (lifespan) always goes to
the inner application.

Outside a block the three die with C<enable() must be called inside builder {}> and so on.

=head1 NAMES

C<PAGI::Middleware::> is put before the name: C<GZip> is L<PAGI::Middleware::GZip>. Everything up
to a C<^> is then dropped: C<^My::Thing> is C<My::Thing>. The class is loaded at once. If its file
does not exist it may still be a package defined in the program; with C<PAGI_DEBUG> set in the
environment a warning says so. A class that never appears makes C<to_app> fail with Perl's
C<Can't locate object method "new">; a file that exists but does not compile makes it fail with
C<Could not load CLASS: REASON>.

=head1 METHODS

=head2 new

No options.

=head2 add_middleware, add_middleware_if, add_mount

    $builder->add_middleware($name_or_object, %config);
    $builder->add_middleware_if($condition, $name_or_object, %config);
    $builder->add_mount($path, $app);

What C<enable>, C<enable_if> and C<mount> do; those three names work as methods too. All return
the builder.

=head2 to_app($inner)

Returns the application coderef. May be called again for another inner application.

=head1 ERRORS

C<enable() with a middleware instance takes no config (configure it at construction time)>,
C<CLASS does not look like middleware (no wrap method)>, and what L<PAGI::Utils/to_app> and the
constructors of the middleware say.

=cut
