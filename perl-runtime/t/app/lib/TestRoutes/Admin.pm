package TestRoutes::Admin;

use strict;
use warnings;

use AppHelper qw(app_saying);

sub to_app { return app_saying(sub { "admin $_[0]{path} below $_[0]{root_path}" }) }

1;
