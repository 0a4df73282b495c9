package SimpleServices::Service::Visitor;
use v5.36;
use Future;
use Future::AsyncAwait;
use parent 'PAGI::Simple::Service::PerRequest';
our @ENDED;
async sub name ($self) { await Future->done; return $self->c->req->query_param('name') // 'nobody' }
sub on_request_end ($self, $c) { push @ENDED, $c->path }
1;
