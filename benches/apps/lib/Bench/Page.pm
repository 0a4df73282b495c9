package Bench::Page;

use strict;
use warnings;

sub html { return '0123456789abcdef' x 128 }

1;

__END__

=head1 NAME

Bench::Page - the body of the middleware benchmark

=head1 SYNOPSIS

    use Bench::Page;
    my $bytes = Bench::Page::html();

=head1 FUNCTIONS

=head2 html

    my $bytes = Bench::Page::html();

2 KiB, the same at every call. Nothing in a stack of middleware looks at what a page says, so it says nothing.

=cut
