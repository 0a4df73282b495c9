package PAGI::EventScope;

use strict;
use warnings;

use parent 'PAGI::Transport';

use Carp qw(croak);
use Future::AsyncAwait;
use Hash::MultiValue;
use PAGI::Request::Query;
use Scalar::Util qw(blessed reftype weaken);

# What PAGI::WebSocket and PAGI::SSE share: the view on the scope, and callback lists. A subclass provides _scope_type and
# _callback_lists (the fields that hold its lists) and _close_arguments (what on_close callbacks get).

sub new {
    my ($class, $scope, $receive, $send) = @_;

    my $type = $class->_scope_type;
    croak "$class requires scope hashref"    unless ref $scope eq 'HASH';
    croak "$class requires receive coderef"  unless _is_code($receive);
    croak "$class requires send coderef"     unless _is_code($send);
    my $got = defined $scope->{type} ? $scope->{type} : '';
    croak "$class requires scope type '$type', got '$got'" if $got ne $type;

    # Several layers may wrap one scope; they have to see one connection state. Weak: the scope is held by this object.
    my $key = "pagi.$type";
    return $scope->{$key} if $scope->{$key};
    my $self = bless {
        scope => $scope, receive => $receive, send => $send, (map { $_ => [] } $class->_callback_lists),
    }, $class;
    $self->_init;
    weaken($scope->{$key} = $self);
    return $self;
}

sub _is_code { return ref $_[0] && reftype $_[0] eq 'CODE' }

sub scope { return $_[0]{scope} }

sub client { return $_[0]{scope}{client} }
sub server { return $_[0]{scope}{server} }

sub http_version     { return _or($_[0]{scope}{http_version}, '1.1') }
sub query_string     { return _or($_[0]{scope}{query_string}, '') }
sub state            { return $_[0]{scope}{state} || {} }
sub connection_state { return $_[0]{_state} }

sub is_closed { return $_[0]{_state} eq 'closed' ? 1 : 0 }

sub header {
    my ($self, $name) = @_;
    my @values = $self->header_all($name);
    return @values ? $values[-1] : undef;
}

sub header_all {
    my ($self, $name) = @_;
    $name = lc $name;
    return map { $_->[1] } grep { lc $_->[0] eq $name } @{ $self->{scope}{headers} || [] };
}

# Cached under a key of its own: PAGI::Request keeps another type under pagi.request.headers.
sub headers {
    my ($self) = @_;
    return $self->{scope}{ 'pagi.' . $self->_scope_type . '.headers' }
        ||= Hash::MultiValue->new(map { lc $_->[0], $_->[1] } @{ $self->{scope}{headers} || [] });
}

sub path_params { return $_[0]{scope}{path_params} || {} }

sub path_param {
    my ($self, $name) = @_;
    return $self->path_params->{$name};
}

sub query_params {
    my ($self, %options) = @_;
    my $mode = PAGI::Request::Query::mode('query_params', %options);
    return PAGI::Request::Query::of_scope($self->{scope}, 'pagi.' . $self->_scope_type, $mode);
}

sub raw_query_params { return $_[0]->query_params(raw => 1) }

sub _query_value {
    my ($self, $name, %options) = @_;
    return $self->query_params(%options)->get($name);
}

sub on_close {
    my ($self, $callback) = @_;
    return $self->_add_callback(_on_close => $callback);
}

sub on_error {
    my ($self, $callback) = @_;
    return $self->_add_callback(_on_error => $callback);
}

# Nothing would ever call, or release, a callback registered after the end.
sub _add_callback {
    my ($self, $list, $callback) = @_;
    push @{ $self->{$list} }, $callback unless $self->{_finished};
    return $self;
}

sub _set_state {
    my ($self, $state) = @_;
    $self->{_state} = $state;
    return;
}

# Each callback is taken off the list before it runs, so that it runs once however many ways lead here. All lists are
# emptied at the end: callbacks are closures over this object as a rule.
async sub _run_close_callbacks {
    my ($self) = @_;

    my @args = $self->_close_arguments;
    $self->{_finished} = 1 if $self->{_state} eq 'closed';
    while (my $callback = shift @{ $self->{_on_close} }) {
        await $self->_call_guarded('on_close', $callback, @args);
    }
    @{ $self->{$_} } = () for $self->_callback_lists;
    return;
}

async sub _run_error_callbacks {
    my ($self, $error, @args) = @_;

    my @callbacks = @{ $self->{_on_error} };
    if (!@callbacks) {
        warn ref($self) . " error: $error";
        return;
    }
    while (my $callback = shift @callbacks) {
        await $self->_call_guarded('on_error', $callback, @args);
    }
    return;
}

async sub _call_guarded {
    my ($self, $name, $callback, @args) = @_;
    my $ok = eval {
        my $result = $callback->(@args);
        await $result if blessed $result && $result->isa('Future');
        1;
    };
    warn ref($self) . " $name callback error: $@" unless $ok;
    return;
}

sub _or { return defined $_[0] ? $_[0] : $_[1] }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::EventScope - the view on a scope that PAGI::WebSocket and PAGI::SSE share

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::SSE;    # a subclass

    my $scope = { type => 'sse', path => '/events', headers => [['last-event-id', '7']], query_string => 'room=a%20b' };
    my $sse   = PAGI::SSE->new($scope, sub { Future->new }, sub { Future->done });
    print $sse->header('Last-Event-ID'), ' ', $sse->query_params->get('room'), "\n";    # 7 a b

=head1 DESCRIPTION

Base class; use L<PAGI::WebSocket> or L<PAGI::SSE>. The flow-control methods come from L<PAGI::Transport>.

=head1 METHODS

=head2 new

    my $object = CLASS->new($scope, $receive, $send);

Returns the object that exists for this scope, or a new one. Croaks when an argument is missing or the scope has another type.

=head2 scope, client, server, http_version, query_string, state

From the scope. C<client> and C<server> are C<[host, port]> arrayrefs or undef; C<http_version> defaults to C<1.1>,
C<query_string> (bytes, still encoded) to C<''>, C<state> to a fresh C<{}>.

=head2 connection_state, is_closed

The name of the current state; 1 or 0.

=head2 header

    my $value = $object->header($name);

The last value (bytes) of a request header, or undef. The case of the name does not matter.

=head2 header_all

    my @values = $object->header_all($name);

=head2 headers

All request headers, a L<Hash::MultiValue> with lower-case keys.

=head2 path_params, path_param

    my $id = $object->path_param('id');

What the router captured: a hashref, C<{}> without a router; one value or undef.

=head2 query_params, raw_query_params

    my $params = $object->query_params(strict => 0, raw => 0);

The decoded query string, a L<Hash::MultiValue>. Values are characters; bytes that are no UTF-8 become U+FFFD, or with
C<strict> an exception; with C<raw> values stay bytes. Croaks C<Unknown options to query_params: NAME>.

=head2 on_close, on_error

Register a callback. Return the object.

=head1 SEE ALSO

L<PAGI::WebSocket>, L<PAGI::SSE>

=cut
