package TestApps::AutoLoaded;

# Only ever loaded by to_app('TestApps::AutoLoaded').

use strict;
use warnings;

use parent 'TestApps::Component';

sub to_app { return TestApps::Component->new(body => 'auto-loaded')->to_app }

1;
