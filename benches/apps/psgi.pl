use strict;
use warnings;
use PAGI::App::WrapPSGI;

# The application of the others, in the worker itself.
(my $file = __FILE__) =~ s{[^/]*\z}{hello.psgi};
PAGI::App::WrapPSGI->new(psgi_app => do $file)->to_app;
