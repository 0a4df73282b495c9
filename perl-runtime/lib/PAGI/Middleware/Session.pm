package PAGI::Middleware::Session;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Digest::SHA qw(sha256_hex);
use Future::AsyncAwait;
use JSON::MaybeXS ();
use Scalar::Util qw(blessed);
use Time::HiRes ();
use PAGI::Middleware::Session::State::Cookie;
use PAGI::Middleware::Session::Store::Memory;
use PAGI::Utils::Random qw(secure_random_bytes);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);

sub _init {
    my ($self, $config) = @_;
    $self->{secret} = $config->{secret} or die "Session middleware requires 'secret' option\n";
    utf8::encode($self->{secret}) if $self->{secret} =~ /[^\x00-\xff]/;
    $self->{expire} = $config->{expire} // 3600;
    # Reading alone saves a session this rarely, so it may expire by so much earlier: a write per request would be the
    # greater evil.
    $self->{slide} = int($self->{expire} / 60);
    $self->{state}  = $config->{state} // PAGI::Middleware::Session::State::Cookie->new(
        cookie_name => $config->{cookie_name} // 'pagi_session',
        expire      => $self->{expire},
        ($config->{cookie_options} ? (cookie_options => $config->{cookie_options}) : ()),
    );
    $self->{store} = $config->{store} // PAGI::Middleware::Session::Store::Memory->new;
    return;
}

sub clear_sessions { PAGI::Middleware::Session::Store::Memory->clear_all; return }

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        if (exists $scope->{'pagi.session'}) {
            warn "Session middleware: pagi.session already in scope, skipping\n" if $ENV{PAGI_DEBUG};
            return $app->($scope, $receive, $send);
        }
        return $self->_full_cycle($app, $scope, $receive, $send) if $scope->{type} eq 'http';
        return $app->($scope, $receive, $send) unless exists $scope->{headers};    # lifespan
        return $self->_read_only($app, $scope, $receive, $send);
    };
}

async sub _full_cycle {
    my ($self, $app, $scope, $receive, $send) = @_;
    my $session = await $self->_stored($scope);
    my $now = time;
    my ($snapshot, $must_slide);
    if ($session) {
        $must_slide = $now - _seen($session) >= $self->{slide};
        $session->{_last_access} = $now;
        $snapshot = $JSON->encode($session);
    }
    else {
        # Session fixation: an id the store does not know is never taken over.
        $session = { _id => $self->_new_id, _created => $now, _last_access => $now };
    }

    my $saving = async sub {
        my ($event) = @_;
        my @headers = @{ $event->{headers} || [] };
        await $self->_save($scope, $session, $snapshot, $must_slide, \@headers);
        return await $send->({ %$event, headers => \@headers });
    };
    return await $app->(
        { %$scope, 'pagi.session' => $session, 'pagi.session_id' => $session->{_id} },
        $receive,
        sub {
            my ($event) = @_;
            return $saving->($event)
                if ref $event eq 'HASH' && ($event->{type} // '') eq 'http.response.start';
            return $send->($event);
        },
    );
}

async sub _save {
    my ($self, $scope, $session, $snapshot, $must_slide, $headers) = @_;
    my ($state, $store) = @$self{qw(state store)};

    if ($session->{_destroyed}) {
        await _settled($store->delete($session->{_id}));
        $state->clear($headers);
        return;
    }

    my $options = ($scope->{scheme} // '') eq 'https' ? { secure => 1 } : {};
    if (delete $session->{_regenerated}) {
        my $old = $session->{_id};
        $session->{_id} = $self->_new_id;
        await _settled($store->delete($old));
        my $transport = await _settled($store->set($session->{_id}, $session));
        $state->inject($headers, $transport, $options);
        return;
    }

    my $changed = !defined $snapshot || $JSON->encode($session) ne $snapshot;
    return unless $changed || $must_slide;
    my $transport = await _settled($store->set($session->{_id}, $session));
    # A session that travels in the cookie has slid only when the client has it.
    $state->inject($headers, $transport, $options) if $changed || $transport ne $session->{_id};
    return;
}

# A WebSocket or an event stream has no response to carry a cookie; what it changes
# must vanish with it, so it gets a copy and never the store's own hash.
async sub _read_only {
    my ($self, $app, $scope, $receive, $send) = @_;
    my $stored = await $self->_stored($scope);
    my %keys = $stored
        ? ('pagi.session' => $JSON->decode($JSON->encode($stored)), 'pagi.session_id' => $stored->{_id})
        : ('pagi.session' => {});
    return await $app->({ %$scope, %keys }, $receive, $send);
}

async sub _stored {
    my ($self, $scope) = @_;
    my $id = $self->{state}->extract($scope);
    return unless defined $id && length $id;
    my $session = await _settled($self->{store}->get($id));
    return unless ref $session eq 'HASH';
    return unless time - _seen($session) <= $self->{expire};
    return $session;
}

sub _seen { my ($session) = @_; return $session->{_last_access} // $session->{_created} // 0 }

# Stores may be plain classes that answer directly.
sub _settled {
    my ($answer) = @_;
    return $answer if blessed $answer && $answer->isa('Future');
    return Future->done($answer);
}

sub _new_id {
    my ($self) = @_;
    return sha256_hex(secure_random_bytes(32), Time::HiRes::time(), $self->{secret});
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session - sessions with pluggable transport and storage

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::Middleware::Builder;
    use PAGI::Session;

    my $app = builder {
        enable 'Session', secret => 'a long random string';
        async sub {
            my ($scope, $receive, $send) = @_;
            my $session = PAGI::Session->new($scope);
            $session->set(visits => 1 + $session->get('visits', 0));
            $session->regenerate if $scope->{path} eq '/login';    # after every login
            await $send->({ type => 'http.response.start', status => 200, headers => [] });
            await $send->({ type => 'http.response.body', body => $session->get('visits') });
        };
    };

=head1 DESCRIPTION

The application finds the session, a plain hash reference, in the scope as C<pagi.session>, and its
id as C<pagi.session_id>. L<PAGI::Session> wraps it with convenient methods. The session is saved when
the response starts: a change after that is lost, and an application that fails before saves nothing.

Keys that begin with C<_> belong to the middleware: C<_id>, C<_created>, C<_last_access> (epoch
seconds), C<_regenerated>, C<_destroyed>. Values must be what JSON can hold.

=over 4

=item *

A new session, and one whose content changed, is saved and puts its id into the response (again). Reading
alone does not; now and then it saves the session so that it does not expire.

=item *

An id the store does not know, or whose session has expired, is never adopted; a new one is made. Set
C<_regenerated> (L<PAGI::Session/regenerate>) whenever somebody logs in or gains rights: the session
moves to a new id and the old one is deleted at once.

=item *

C<_destroyed> (L<PAGI::Session/destroy>) deletes the session and clears the cookie.

=item *

WebSockets and event streams get a copy of the session, to read. A visitor without one sees an empty
hash and no C<pagi.session_id>. Lifespan scopes pass unchanged.

=item *

If C<pagi.session> is in the scope already, this middleware steps aside: of several layers the
outermost works.

=back

=head1 OPTIONS

=over 4

=item secret

Required. Goes into the ids besides random bytes.

=item expire

Seconds a session may be idle, default 3600. A request that changes nothing saves the session only if the last time
it was saved is more than a sixtieth of this ago.

=item state

Where the id travels; an object of L<PAGI::Middleware::Session::State::Cookie> (default),
L<::Header|PAGI::Middleware::Session::State::Header>, L<::Bearer|PAGI::Middleware::Session::State::Bearer> or
L<::Callback|PAGI::Middleware::Session::State::Callback>.

=item store

Where the data lives, see below. Default L<PAGI::Middleware::Session::Store::Memory>.

=item cookie_name

For the default state: C<pagi_session>.

=item cookie_options

For the default state: C<< { httponly => 1, path => '/', samesite => 'Lax' } >>. A hash given here
replaces all of that. C<Secure> is added by itself when the request came over https.

=back

=head1 WHICH STORE

    deployment                                store
    tests, development, one process           Session::Store::Memory (lost on restart and reload)
    several workers of one server             Session::Store::Shared (lost on restart, survives reload)
    the same, and sessions survive a restart  Session::Store::File
    several machines, small sessions          Session::Store::Cookie (no server side state)
    several machines, larger sessions or      a store of your own over a database or Redis:
      server-side logout                        get, set and delete, see Session::Store

With more than one worker C<Store::Memory> loses sessions at random, since each worker has its own memory.

=head1 METHODS

=head2 clear_sessions

Class method. Empties the memory store.

=head1 ERRORS

C<Session middleware requires 'secret' option>. What the store or JSON say fails the request.

=cut
