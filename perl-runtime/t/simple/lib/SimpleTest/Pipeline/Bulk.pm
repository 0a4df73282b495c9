package SimpleTest::Pipeline::Bulk;
use v5.36;
use parent 'PAGI::Simple::Handler';

sub routes ($class, $app, $r) { $r->any('/' => '#all'); $r->sse('/live' => '#live') }
sub all ($self, $c) { $c->text('bulk at ' . $c->path) }
sub live ($self, $sse) { $sse->send('bulk live') }
1;
