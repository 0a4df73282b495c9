use strict;
use warnings;
use Cwd            ();
use File::Basename ();

my $file = File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/../../examples/dancer2/app.psgi';
(do $file) or die $@ || $!;
