package ContextHelper;

use strict;
use warnings;

use Exporter 'import';
use Future;
use PAGI::Context;

our @EXPORT = qw(channel context_for);

# ($receive, $send, \@sent, $push): events given, or pushed later with $push->($event, ...); without one receive is pending.
sub channel {
    my @queue = @_;
    my (@sent, @waiting);
    my $receive = sub {
        return Future->done(shift @queue) if @queue;
        push @waiting, my $future = Future->new;
        return $future;
    };
    my $push = sub {
        for my $event (@_) {
            if (my $future = shift @waiting) { $future->done($event) }
            else                             { push @queue, $event }
        }
    };
    return ($receive, sub { push @sent, $_[0]; Future->done }, \@sent, $push);
}

# A context of that type over such a channel: ($ctx, \@sent, $push)
sub context_for {
    my ($type, @events) = @_;
    my %scope = ref $type ? %$type : (type => $type, path => '/', headers => []);
    my ($receive, $send, $sent, $push) = channel(@events);
    return (PAGI::Context->new(\%scope, $receive, $send), $sent, $push);
}

1;
