use strict;
use warnings;
use Cwd            ();
use File::Basename ();

my $file = File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/../../examples/mojolicious/app.pl';
(do $file) or die $@ || $!;
