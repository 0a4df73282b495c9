package PAGI::Middleware;

use strict;
use warnings;

use Carp qw(croak);
use Future::AsyncAwait;

my %GUARDABLE = map { $_ => 1 } qw(http sse websocket);

sub new {
    my ($class, %config) = @_;
    my $self = bless { config => \%config }, $class;
    $self->_init(\%config);
    return $self;
}

sub _init { return }

sub wrap { die "Subclass must implement wrap()\n" }

sub modify_scope {
    my ($self, $scope, $additions) = @_;
    return { %$scope, %{ $additions || {} } };
}

sub intercept_send {
    my ($self, $send, $interceptor) = @_;
    return async sub {
        my ($event) = @_;
        await $interceptor->($event, $send);
        return;
    };
}

async sub buffer_request_body {
    my ($self, $receive) = @_;
    my $body = '';
    while (1) {
        my $event = await $receive->();
        my $type = $event->{type} // '';
        return ($body, $event) if $type eq 'http.disconnect';
        next if $type ne 'http.request';
        $body .= $event->{body} // '';
        return ($body, $event) unless $event->{more};
    }
}

# SSE-37: a request becomes an sse scope by its Accept header alone, so a guard
# that looked at http scopes only could be stepped around by sending that header.
sub _guarded_scope_types {
    my ($self, $config, @default) = @_;
    my $types = $config->{scope_types} // \@default;
    croak ref($self) . " 'scope_types' must be an arrayref of http, sse, websocket"
        if ref $types ne 'ARRAY' || grep { !$GUARDABLE{ $_ // '' } } @$types;
    return { map { $_ => 1 } @$types };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware - base class for PAGI middleware

=head1 SYNOPSIS

    package My::PoweredBy;
    use strict;
    use warnings;
    use parent 'PAGI::Middleware';

    sub _init {
        my ($self, $config) = @_;
        $self->{name} = $config->{name} // 'PAGI';
    }

    sub wrap {
        my ($self, $app) = @_;
        return sub {
            my ($scope, $receive, $send) = @_;
            return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

            my $decorated = sub {
                my ($event) = @_;
                return $send->($event) if $event->{type} ne 'http.response.start';
                return $send->({
                    %$event,
                    headers => [ @{ $event->{headers} || [] }, [ 'x-powered-by', $self->{name} ] ],
                });
            };
            return $app->($scope, $receive, $decorated);
        };
    }

    package main;
    my $inner = sub { my ($scope, $receive, $send) = @_; ... };
    my $app   = My::PoweredBy->new(name => 'me')->wrap($inner);

=head1 DESCRIPTION

A middleware is an object with two methods: C<new(%config)>, which checks the
options and dies at once when one is wrong, and C<wrap($app)>, which returns a
new application around C<$app>. Inheriting from this class is a convenience;
L<PAGI::Middleware::Builder> accepts any class with those two methods.

One object serves many requests at the same time. Whatever belongs to one request
lives in lexical variables of the returned coderef, never on the object.

An application, wrapped or not, is C<< $app->($scope, $receive, $send) >> and
returns a L<Future>. Events are hash references; middleware must not change an
event or a scope it was given, but hand on a copy.

=head1 METHODS

=head2 new

    my $mw = Class->new(%config);

Stores the pairs as the hash reference C<< $mw->{config} >> and calls C<_init>
with that same reference. Subclasses override C<_init>, not C<new>.

=head2 _init

    sub _init { my ($self, $config) = @_; ... }

Hook for subclasses; the default does nothing.

=head2 wrap

    my $wrapped = $mw->wrap($app);

Returns the wrapped application, synchronously. The base class dies with
C<Subclass must implement wrap()>.

=head2 modify_scope

    my $copy = $mw->modify_scope($scope, \%additions);

A shallow copy of the scope with the additions. The original stays untouched;
nested references are shared.

=head2 intercept_send

    my $send2 = $mw->intercept_send($send, async sub {
        my ($event, $send) = @_;
        await $send->($event);
    });

Returns a send coderef that hands each event to the interceptor and waits for its
Future. Forwarding the event is the interceptor's job.

=head2 buffer_request_body

    my ($body, $last_event) = await $mw->buffer_request_body($receive);

Reads C<http.request> events until the final one or until C<http.disconnect>,
skipping other types. C<$body> is bytes. There is no size limit: use
L<PAGI::Middleware::JSONBody> or L<PAGI::Middleware::FormBody> for bodies from
strangers.

=head1 SCOPE TYPES

Most of the middleware shipped here works on C<http> scopes only and hands every
other scope on unchanged. The exception are the guards (authentication, CSRF, rate
limit, trusted hosts, maintenance, HTTPS redirect, CORS, and the reverse proxy
correction they rely on): a client turns a request into an C<sse> scope merely by
sending C<Accept: text/event-stream>, so guards act on C<http> and C<sse> scopes.
They take the option

    scope_types => [qw(http sse websocket)]

to widen or narrow that. A refused event stream gets a normal HTTP response; a
refused WebSocket a denial response where the server offers that extension, else
a 403.

=head1 SEE ALSO

L<PAGI::Middleware::Builder>

=cut
