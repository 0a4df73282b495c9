use strict;
use warnings;
use PAGI::Simple;

my $app = PAGI::Simple->new(name => 'Hello', quiet => 1);

$app->get('/' => sub { $_[0]->text("Hello, World!\n") });

$app->to_app;
