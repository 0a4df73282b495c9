package TestNoPlugin::Controller::Root;

use Moose;
BEGIN { extends 'Catalyst::Controller' }

sub chat :Local :Async { }

1;
