package TestNoPlugin;

use Moose;
use Catalyst;
extends 'Catalyst';
__PACKAGE__->setup;

1;
