package PAGI::App::Cascade::Attempt;

use strict;
use warnings;

use Future;

# What decides: a start event has a status, the others take the request.
my %DECIDES = map { $_ => 1 } qw(
    http.response.start
    sse.start sse.http.response.start
    websocket.accept websocket.close websocket.http.response.start
);

sub new {
    my ($class, $scope, $send, $catch, $replay) = @_;
    return bless { scope => $scope, send => $send, catch => $catch, replay => $replay, state => '' }, $class;
}

sub was_caught { $_[0]{state} eq 'caught' }
sub was_taken  { $_[0]{state} eq 'taken' }

sub send {
    my ($self) = @_;
    return sub {
        my ($event) = @_;
        $self->_decide($event) if $self->{state} eq '';
        return Future->done if $self->{state} eq 'caught';
        return $self->{send}->($event);
    };
}

sub _decide {
    my ($self, $event) = @_;
    my $type = ref $event eq 'HASH' ? $event->{type} // '' : '';
    my $catch = $self->{catch};
    return if $catch && !$DECIDES{$type};    # lifespan: whatever is sent decides
    $self->{state} = $catch && $self->_is_refusal($type, $event) ? 'caught' : 'taken';
    $self->{replay}->stop if $self->was_taken;
    return;
}

sub _is_refusal {
    my ($self, $type, $event) = @_;
    return 1 if $type eq 'websocket.close';
    return $type =~ /http\.response\.start\z/ && $self->{catch}{ $event->{status} // '' };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Cascade::Attempt - one app's chance to take a request

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::App::Cascade::Attempt;
    use PAGI::App::Cascade::Replay;

    my $replay  = PAGI::App::Cascade::Replay->new(sub { Future->new });
    my $attempt = PAGI::App::Cascade::Attempt->new({ type => 'http' }, sub { Future->done }, { 404 => 1 }, $replay);
    $attempt->send->({ type => 'http.response.start', status => 404 })->get;
    print $attempt->was_caught ? "next\n" : "taken\n";    # next

=head1 METHODS

=head2 new($scope, $send, \%catch, $replay)

Undef for C<\%catch> means a lifespan scope: any event takes it. C<$replay> is told to stop keeping events once the
request is taken.

=head2 send

The send coderef for the app: passes events on unless the status was caught.

=head2 was_caught, was_taken

How it was decided; both are false before.

=cut
