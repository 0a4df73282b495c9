package PAGI::Utils;

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use Future::AsyncAwait;
use Scalar::Util qw(blessed reftype);

our @EXPORT_OK = qw(handle_lifespan is_response to_app);
our %EXPORT_TAGS = (all => \@EXPORT_OK);

sub to_app {
    my ($thing) = @_;

    croak 'to_app() requires an app, component, or class name' unless defined $thing;
    return _app_of_object($thing) if blessed $thing;
    return _app_of_reference($thing) if ref $thing;
    return _app_of_class($thing);
}

sub is_response {
    my ($thing) = @_;
    return blessed $thing && $thing->can('respond') ? 1 : 0;
}

async sub handle_lifespan {
    my ($scope, $receive, $send, %hooks) = @_;

    my $type = ref $scope eq 'HASH' && defined $scope->{type} ? $scope->{type} : '';
    croak "handle_lifespan called with scope type '$type' (expected 'lifespan'). Check scope type before calling: "
        . q{return await handle_lifespan($scope, $receive, $send, ...) if $scope->{type} eq 'lifespan'}
        if $type ne 'lifespan';

    # Loaded on demand: PAGI::Lifespan needs to_app from here.
    require PAGI::Lifespan;
    my $manager = PAGI::Lifespan->for_scope($scope);
    PAGI::Lifespan::add_scope_hooks($scope, \%hooks);
    return await $manager->handle($scope, $receive, $send);
}

sub _app_of_object {
    my ($object) = @_;
    my $class = ref $object;

    # RUN-3: a code reference is the app itself, blessed or not.
    return $object if reftype $object eq 'CODE';
    return $object->to_app if $object->can('to_app');
    croak "$class looks like middleware, not an app - pass it to enable(), or wrap an app with ->wrap(\$app)"
        if $object->can('wrap');
    croak "Cannot coerce $class object to a PAGI app (no to_app method)";
}

sub _app_of_reference {
    my ($reference) = @_;
    return $reference if ref $reference eq 'CODE';
    croak 'Cannot coerce ' . ref($reference) . ' reference to a PAGI app';
}

sub _app_of_class {
    my ($class) = @_;

    # Only a package name ever reaches require, so that no other string is evaluated.
    croak "Cannot coerce '$class' to a PAGI app" unless $class =~ /\A\w+(?:::\w+)*\z/;
    _load($class) unless _class_method($class, 'to_app');
    return $class->to_app if _class_method($class, 'to_app');
    croak "'$class' looks like middleware, not an app - pass it to enable()" if $class->can('wrap');
    croak "'$class' does not have a to_app() method";
}

# A class that merely imported to_app() from here has no method of that name.
sub _class_method {
    my ($class, $name) = @_;
    my $code = $class->can($name);
    return $code && $code != \&to_app ? $code : undef;
}

sub _load {
    my ($class) = @_;
    (my $file = "$class.pm") =~ s{::}{/}g;
    my $error = do {
        local $@;
        eval { require $file; 1 } ? undef : $@;
    };
    croak "Failed to load '$class': $error" if defined $error;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Utils - turn things into apps, recognise responses, answer lifespan

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Utils qw(handle_lifespan is_response to_app);

    my $app = to_app(async sub {
        my ($scope, $receive, $send) = @_;

        return await handle_lifespan(
            $scope, $receive, $send,
            startup  => async sub { my ($state) = @_; $state->{started_at} = time },
            shutdown => async sub { my ($state) = @_; delete $state->{started_at} },
        ) if $scope->{type} eq 'lifespan';

        await $send->({ type => 'http.response.start', status => 200, headers => [['content-type', 'text/plain']] });
        await $send->({ type => 'http.response.body', body => 'Hello' });
    });

    print is_response($app), "\n";    # 0: an app is no response value

=head1 DESCRIPTION

Three functions, exported on request; the tag C<:all> exports them all.

=head1 FUNCTIONS

=head2 to_app

    my $app = to_app($thing);

Returns an application: a code reference called as C<< $app->($scope, $receive, $send) >> that returns a Future.
C<$thing> is one of

=over

=item a code reference

returned unchanged;

=item an object with a C<to_app> method

asked for its app;

=item a class name such as C<My::App>

loaded if it has no C<to_app> method yet, then asked for its app as C<< My::App->to_app >>. A string that is not a package
name is never evaluated, and loading leaves C<$@> alone.

=back

Everything else croaks from the caller's perspective:

    to_app() requires an app, component, or class name
    CLASS looks like middleware, not an app - pass it to enable(), or wrap an app with ->wrap($app)
    Cannot coerce CLASS object to a PAGI app (no to_app method)
    Cannot coerce TYPE reference to a PAGI app
    Cannot coerce 'X' to a PAGI app
    Failed to load 'X': ERROR
    'X' looks like middleware, not an app - pass it to enable()
    'X' does not have a to_app() method

=head2 is_response

    if (is_response($value)) { await $value->respond($send) }

Exactly 1 when C<$value> is an object with a C<respond> method (see L<PAGI::Response>), exactly 0 otherwise.

=head2 handle_lifespan

    await handle_lifespan($scope, $receive, $send, startup => $code, shutdown => $code);

Asynchronous. Answers the lifespan events of C<$scope>: adds the given hooks (both optional) behind those that outer layers
registered, then runs L<PAGI::Lifespan/handle> on the manager of the scope. Each hook is called with the state hashref and may
return a Future or a plain value. The Future resolves to what C<handle> resolves to (1 after a shutdown, undef after a failed
startup) and fails for another scope type with

    handle_lifespan called with scope type 'T' (expected 'lifespan'). Check scope type before calling: ...

=head1 SEE ALSO

L<PAGI::Lifespan>, L<PAGI::Response>

=cut
