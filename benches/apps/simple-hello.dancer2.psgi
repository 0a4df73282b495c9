use strict;
use warnings;

package Bench::Hello;

use Dancer2;

set logger       => 'null';
set startup_info => 0;

get '/' => sub { content_type 'text/plain'; "Hello, World!\n" };

package main;

Bench::Hello->to_app;
