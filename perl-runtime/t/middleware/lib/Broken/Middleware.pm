package Broken::Middleware;
use strict;
sub wrap { if (1) { 
1;
