package PAGI::Simple::Preread;

use strict;
use warnings;

use Future;
use Future::AsyncAwait;

our $LIMIT = 64 * 1024;

# Reads a small body of known length ahead. The context then receives the same events again, so a body stream sees no
# difference. Returns undef when there is nothing to wait for.
sub of {
    my ($class, $c) = @_;
    my ($length, $expects);
    for my $pair (@{ $c->{scope}{headers} || [] }) {
        my $name = lc $pair->[0];
        if    ($name eq 'content-length') { $length = $pair->[1] }
        elsif ($name eq 'expect')         { $expects = 1 }
    }
    # reading would tell a client that waits for a 100 to go on, before the handler had its say
    return undef if $expects || !defined $length || $length !~ /\A[0-9]+\z/ || !$length || $length > $LIMIT;

    my $receive = $c->{receive};
    my @events;
    while (1) {
        my $future = $receive->();
        return _rest($c, $receive, \@events, $future) unless $future->is_done;
        push @events, $future->get;
        last if _is_last($events[-1]);
    }
    _replay($c, $receive, \@events);
    return undef;
}

async sub _rest {
    my ($c, $receive, $events, $future) = @_;
    push @$events, await $future;
    while (!_is_last($events->[-1])) {
        push @$events, await $receive->();
    }
    _replay($c, $receive, $events);
    return;
}

sub _is_last {
    my ($event) = @_;
    return 1 if ref $event ne 'HASH' || !defined $event->{type} || $event->{type} !~ /\.request\z/;
    return $event->{more} ? 0 : 1;
}

sub _replay {
    my ($c, $receive, $events) = @_;
    $c->{receive} = sub { @$events ? Future->done(shift @$events) : $receive->() };
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Preread - small request bodies are read before the handler runs

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Preread;

    $PAGI::Simple::Preread::LIMIT = 16 * 1024;    # bytes, default 64 KiB

=head1 DESCRIPTION

A plain handler can use C<< $c->json_body >> as data because the body is there already when the handler starts. That holds for bodies
with a Content-Length up to the limit and without C<Expect>; for all others the event loop runs inside C<json_body>. Streaming the
body still works: it yields what was read first.

=head1 METHODS

=head2 of

    my $future = PAGI::Simple::Preread->of($c);

Undef when nothing has to be waited for, else a Future that is done when the body is complete.

=cut
