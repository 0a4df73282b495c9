#!/usr/bin/perl
# Behaves as the query string says.
use strict;
use warnings;
$| = 1;
my $q = $ENV{QUERY_STRING};
if    ($q eq 'none')     { exit 0 }
elsif ($q eq 'junk')     { print "this is not a header\n\nbody" }
elsif ($q eq 'status')   { print "Status: abc\nContent-Type: text/plain\n\nx" }
elsif ($q eq 'noblank')  { print "Content-Type: text/plain\n" }
elsif ($q eq 'huge')     { print "X-A: " . ('a' x 100_000) }
elsif ($q eq 'location') { print "Location: http://example.org/\n\n" }
elsif ($q eq 'sleep')    { sleep 20 }
elsif ($q eq 'stall')    { print "Content-Type: text/plain\n\nbegin"; sleep 20 }
elsif ($q eq 'close')    { print "Content-Type: text/plain\n\nall"; close STDOUT; sleep 20 }
elsif ($q eq 'big')      { print "Content-Type: text/plain\n\n"; print 'x' x 100_000 for 1 .. 30 }
elsif ($q eq 'slow')     { print "Content-Type: text/plain\n\none\n"; select undef, undef, undef, 0.2; print "two\n" }
