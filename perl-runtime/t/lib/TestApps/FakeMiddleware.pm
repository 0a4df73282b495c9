package TestApps::FakeMiddleware;

# Has wrap and no to_app.

use strict;
use warnings;

sub new  { return bless {}, shift }
sub wrap { return $_[1] }

1;
