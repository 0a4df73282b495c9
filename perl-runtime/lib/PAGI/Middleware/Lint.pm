package PAGI::Middleware::Lint;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future::AsyncAwait;

my $NO_START = 'HTTP app completed without sending http.response.start'
    . ' (did you forget to await a $send call, or to ->retain a Future that was left running?)';
my $NO_END = 'HTTP app completed without sending final http.response.body (more=0)'
    . ' (did you forget to await a $send call, or the last event?)';

# By a process of the pool, which the request was handed to as a whole.
sub _is_answered_elsewhere {
    my ($scope) = @_;
    my $connection = $scope->{'pagi.connection'};
    return $connection && $connection->can('response_started') && $connection->response_started;
}

sub _init {
    my ($self, $config) = @_;
    $self->{strict}     = $config->{strict} ? 1 : 0;
    $self->{on_warning} = $config->{on_warning};
    $self->{enabled}    = $config->{enabled} // 1;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return $app unless $self->{enabled};
    return sub {
        my ($scope, $receive, $send) = @_;
        return $self->_linted($app, $scope, $receive, $send);
    };
}

async sub _linted {
    my ($self, $app, $scope, $receive, $send) = @_;
    $self->_check_scope($scope);
    my $type = ref $scope eq 'HASH' ? $scope->{type} // '' : '';

    my %seen = (started => 0, finished => 0);
    my $ok = eval {
        await $app->($scope, $receive, sub {
            my ($event) = @_;
            $self->_check_event($event, $type, \%seen);
            return $send->($event);
        });
        1;
    };
    if (!$ok) {
        my $error = $@;
        # An exception object stays one: others up the stack look at its class.
        die $error if ref $error || $type ne 'http' || $seen{finished};
        my $missing = $seen{started} ? 'final http.response.body' : 'http.response.start';
        $error .= "\n" unless $error =~ /\n\z/;
        die "$error(Lint note: app exited without sending $missing)\n";
    }
    return if $type ne 'http' || (!$seen{started} && _is_answered_elsewhere($scope));
    if    (!$seen{started})  { $self->_violation($NO_START) }
    elsif (!$seen{finished}) { $self->_violation($NO_END) }
    return;
}

sub _check_scope {
    my ($self, $scope) = @_;
    return $self->_violation('scope must be hashref, got ' . (ref $scope || 'SCALAR'))
        if ref $scope ne 'HASH';
    return $self->_violation("scope missing required 'type' key") unless defined $scope->{type};
    return if $scope->{type} ne 'http';

    for my $key (qw(method path scheme)) {
        $self->_violation("HTTP scope missing required '$key' key") unless defined $scope->{$key};
    }
    my $headers = $scope->{headers};
    return unless defined $headers;
    return $self->_violation('scope headers must be arrayref, got ' . (ref $headers || 'SCALAR'))
        if ref $headers ne 'ARRAY';
    for my $pair (@$headers) {
        if (!_is_pair($pair)) {
            $self->_violation('scope header must be [name, value] pair');
        }
        elsif ($pair->[0] ne lc $pair->[0]) {
            $self->_violation("header name should be lowercase: '$pair->[0]'");
        }
    }
    return;
}

sub _check_event {
    my ($self, $event, $scope_type, $seen) = @_;
    return $self->_violation('event must be hashref, got ' . (ref $event || 'SCALAR'))
        if ref $event ne 'HASH';
    my $type = $event->{type};
    return $self->_violation("event missing required 'type' key") unless defined $type;

    if    ($type eq 'http.response.start')    { $self->_check_start($event, $seen) }
    elsif ($type eq 'http.response.body')     { $self->_check_body($event, $seen) }
    elsif ($type eq 'websocket.accept') {
        $self->_violation('websocket.accept sent for non-websocket scope') if $scope_type ne 'websocket';
    }
    elsif ($type eq 'sse.start') {
        $self->_violation('sse.start sent for non-sse scope') if $scope_type ne 'sse';
    }
    return;
}

sub _check_start {
    my ($self, $event, $seen) = @_;
    $self->_violation('http.response.start sent multiple times') if $seen->{started};
    $seen->{started} = 1;

    my $status = $event->{status};
    if (!defined $status) {
        $self->_violation("http.response.start missing 'status' key");
    }
    elsif ($status !~ /\A[1-9]\d\d\z/a) {
        $self->_violation("http.response.start status must be 3-digit code, got '$status'");
    }
    my $headers = $event->{headers};
    return unless defined $headers;
    return $self->_violation('response headers must be arrayref') if ref $headers ne 'ARRAY';
    for my $pair (@$headers) {
        $self->_violation('response header must be [name, value] pair') unless _is_pair($pair);
    }
    return;
}

sub _check_body {
    my ($self, $event, $seen) = @_;
    $self->_violation('http.response.body sent before http.response.start') unless $seen->{started};
    $self->_violation('http.response.body sent after response finished (more=0)') if $seen->{finished};
    # BODY-3: file and fh are final whatever "more" says.
    $seen->{finished} = 1
        if !$event->{more} || defined $event->{file} || defined $event->{fh};
    return;
}

sub _is_pair {
    my ($pair) = @_;
    return ref $pair eq 'ARRAY' && @$pair == 2 && defined $pair->[0] && defined $pair->[1];
}

sub _violation {
    my ($self, $message) = @_;
    die "PAGI Lint Error: $message\n" if $self->{strict};
    if ($self->{on_warning}) { $self->{on_warning}->($message) }
    else                     { warn "PAGI Lint Warning: $message\n" }
    return;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Lint - check that an application keeps to the protocol

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Lint', strict => 1;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on all scope types. Checks the scope on entry, every event before it is handed on, and after the
application has returned, whether an HTTP response was started and finished. It sees what passes the place
where it is enabled: innermost it judges the application, outermost the middleware as well. A request that is handed to the server's pool
is judged there.

If the application fails with a text, a line
C<(Lint note: app exited without sending http.response.start)> (or C<final http.response.body>) is added when it
applies. Error objects are rethrown unchanged.

=head1 OPTIONS

=over 4

=item strict

True: die with C<PAGI Lint Error: MESSAGE> at the first violation. Default 0.

=item on_warning

Coderef, called with the message when not strict. Default: C<warn>, with C<PAGI Lint Warning: > before it.

=item enabled

Default 1.

=back

=head1 MESSAGES

    scope missing required 'type' key
    HTTP scope missing required 'method' key          (also 'path', 'scheme')
    scope headers must be arrayref, got TYPE
    scope header must be [name, value] pair
    header name should be lowercase: 'N'
    event must be hashref, got TYPE
    event missing required 'type' key
    http.response.start sent multiple times
    http.response.start missing 'status' key
    http.response.start status must be 3-digit code, got 'S'
    response headers must be arrayref
    response header must be [name, value] pair
    http.response.body sent before http.response.start
    http.response.body sent after response finished (more=0)
    websocket.accept sent for non-websocket scope
    sse.start sent for non-sse scope
    HTTP app completed without sending http.response.start ...
    HTTP app completed without sending final http.response.body (more=0) ...

=cut
