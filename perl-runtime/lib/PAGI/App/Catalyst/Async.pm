package PAGI::App::Catalyst::Async;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;
use PAGI::App::Catalyst::Helper;
use PAGI::App::Support::Spool;
use PAGI::App::WrapPSGI::Environment qw(environment);
use PAGI::App::WrapPSGI::Response qw(send_response);
use Scalar::Util qw(weaken);

my %RESPONSE = (http => 'http.response', sse => 'sse.http.response', websocket => 'websocket.http.response');

sub new {
    my ($class, %args) = @_;    # class, psgi, scope, receive, send
    return bless {%args}, $class;
}

# Within the application's own PSGI middleware: Catalyst keeps its stash there.
sub psgi_app {
    my ($class, $application) = @_;
    return $application->Catalyst::Utils::apply_registered_middleware(sub {
        my ($env) = @_;
        return sub { $env->{'pagi.async'}->_prepare($env, $_[0]) };
    });
}

async sub run {
    my ($self) = @_;
    my $spool = PAGI::App::Support::Spool->new;
    if ($self->{scope}{type} eq 'http') {
        await $spool->fill($self->{receive}) or return;
    }
    $self->{done} = Future->new;
    $self->_watch_client if $self->{scope}{type} ne 'websocket';
    my $helper = $self->{helper} = PAGI::App::Catalyst::Helper->new(%$self{qw(scope receive send)}, headers => sub { $self->_headers });
    my $env = environment($self->_plain_scope, $spool->handle, $spool->length, 'pagi.helper' => $helper, 'pagi.async' => $self);
    my $response = eval { send_response(sub { $self->_respond($_[0]) }, $self->{psgi}->($env), $self->{scope}{'pagi.connection'}) } || Future->fail($@);
    my $ok = eval { await Future->wait_any($response, $self->{done}); 1 };
    my $error = $@;
    # The end of the client may be heard of here first.
    $self->_client_gone;
    my @failures = $helper->clean_up;
    $self->{class}->log->error($_) for @failures;
    $self->{reader}->cancel if $self->{reader} && !$self->{reader}->is_ready;
    delete @$self{qw(c helper done action reader)};
    die $error unless $ok;
    return;
}

sub _plain_scope {
    my ($self) = @_;
    my $scope = $self->{scope};
    return { %$scope, method => $scope->{method} // 'GET', scheme => ($scope->{scheme} // 'http') =~ s/\Aws/http/r };
}

# CB-9: `begin` and `auto` first; they can refuse. The responder is kept until the action has ended.
sub _prepare {
    my ($self, $env, $respond) = @_;
    my $c = $self->{c} = $self->{class}->prepare(env => $env, response_cb => $respond);
    my $namespace = $c->action->namespace;
    for my $step (qw(_BEGIN _AUTO _ACTION)) {
        last unless $c->forward(join '/', '', $namespace, $step);
    }
    my $future = $self->{helper}->take;
    if (!$future) {
        # Nothing of the action has run, or it had nothing to wait for.
        $c->res->status(403) if !@{ $c->error } && $self->{scope}{type} ne 'http' && $c->res->status == 200;
        return $self->_finish($c);
    }
    $self->{helper}->suspend(1);
    $self->{action} = $future;
    $self->_client_gone if $self->{gone};
    $future->on_ready(sub {
        my ($ended) = @_;
        return if eval { $self->_ended($c, $ended); 1 } || !$self->{done} || $self->{done}->is_ready;
        $self->{done}->fail($@);
    })->retain;
    return;
}

# CB-12: events are read ahead of the action, so that the end of the client is noticed. (That of a WebSocket is an event which the action
# reads.)
sub _watch_client {
    my ($self) = @_;
    my $receive = $self->{receive};
    my (@events, $waiting, $last);
    weaken(my $weak = $self);
    $self->{reader} = (async sub {
        while (1) {
            my $event = await $receive->();
            my $is_last = $event->{type} =~ /\.disconnect\z/;
            $last = $event if $is_last;
            if ($waiting && !$waiting->is_ready) {
                $waiting->done($event);
            }
            elsif (!$is_last) {
                push @events, $event;
            }
            next unless $is_last;
            $weak->_client_gone if $weak;
            last;
        }
        return;
    })->();
    $self->{receive} = sub {
        return Future->done(shift @events) if @events;
        return Future->done($last) if $last;
        return $waiting = Future->new;
    };
    return;
}

sub _client_gone {
    my ($self) = @_;
    $self->{gone} = 1;
    $self->{action}->cancel if $self->{action} && !$self->{action}->is_ready;
    return;
}

sub _ended {
    my ($self, $c, $future) = @_;
    $self->{helper}->suspend(0);
    # CB-7: as if it had been thrown by a synchronous action.
    if ($future->is_failed) {
        my ($error) = $future->failure;
        chomp $error unless ref $error;
        $c->error(ref $error ? $error : 'Caught exception in ' . $c->action->class . '->' . $c->action->name . qq{ "$error"});
    }
    return $future->is_cancelled ? $self->{done}->done : $self->_finish($c);
}

sub _finish {
    my ($self, $c) = @_;
    if (!$self->{helper}->is_started) {
        $c->forward(join '/', '', $c->action->namespace, '_END') if $self->{scope}{type} eq 'http';
        $c->finalize;
    }
    else {
        # Nothing can be added to what was sent.
        $c->log->error($_) for @{ $c->error };
        $self->{send}->({ type => 'websocket.close', code => 1011 })->retain if @{ $c->error } && $self->{scope}{type} eq 'websocket';
        $self->{done}->done;
    }
    $c->log->_flush if $c->log->can('_flush');
    return;
}

# CB-10: what Catalyst would send in the head of a response: cookies, and the session is written.
sub _headers {
    my ($self) = @_;
    my $c = $self->{c} or return;
    $c->finalize_headers;
    $c->finalize_session if $c->can('finalize_session');
    my @headers;
    $c->res->headers->scan(sub {
        my ($name, $value) = @_;
        push @headers, [lc $name, "$value"] unless $name =~ /\A(?:content-type|content-length|x-catalyst)\z/i;
    });
    return @headers;
}

# Catalyst's own response, for the kind of request that this is.
sub _respond {
    my ($self, $event) = @_;
    my ($scope, $send) = @$self{qw(scope send)};
    my $family = $RESPONSE{ $scope->{type} };
    return $send->({ %$event, type => $event->{type} =~ s/\Ahttp\.response/$family/r })
        if $scope->{type} ne 'websocket' || exists $scope->{extensions}{'websocket.http.response'};
    return $event->{type} eq 'http.response.start' ? $send->({ type => 'websocket.close' }) : Future->done;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Catalyst::Async - one request that an :Async action answers

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::App::Catalyst::Async;

    my $psgi = PAGI::App::Catalyst::Async->psgi_app('MyApp');
    await PAGI::App::Catalyst::Async->new(class => 'MyApp', psgi => $psgi, scope => $scope, receive => $receive, send => $send)->run;

=head1 METHODS

=head2 psgi_app($application_class)

What C<new> needs as C<psgi>, once for each application.

=head2 new

Takes the application's C<class>, C<psgi>, C<scope> (http, sse or websocket), C<receive> and C<send>.

=head2 run

Runs C<begin>, C<auto> and the action; for an http request that nothing was sent for also C<end> and Catalyst's own response. The Future is done when
the action's is.

=cut
