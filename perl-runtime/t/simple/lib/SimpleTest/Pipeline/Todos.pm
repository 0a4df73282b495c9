package SimpleTest::Pipeline::Todos;
use v5.36;
use Future::AsyncAwait;
use parent 'PAGI::Simple::Handler';

sub new ($class, %args) {
    my $self = $class->SUPER::new(%args);
    $self->{per_page} = $args{per_page};
    return $self;
}

sub routes ($class, $app, $r) {
    $r->get('/' => '#index')->name('todos');
    $r->get('/:id' => [ sub ($c, $next) { $c->stash->{order} .= ' own'; $next->() } ] => '#load' => '#show')->name('todo');
    $r->websocket('/ws' => '#ws')->name('todos_ws');
    $r->sse('/live' => '#live');
    $r->mount('/bulk' => '::Bulk', { per_page => 2 });
}

sub index ($self, $c) { $c->json({ per_page => $self->{per_page}, app => $self->app->name, same => $c->app == $self->app ? 1 : 0 }) }
async sub load ($self, $c) {
    $c->stash->{todo} = $c->path_params->{id};
    await $c->text('no such todo', 404) if $c->path_params->{id} eq '0';
}
sub show ($self, $c) { $c->text("todo $c->{stash}{todo}" . ($c->stash->{order} // '')) }
sub ws ($self, $ws) { $ws->send('ws ' . $self->{per_page}) }
sub live ($self, $sse) { $sse->send('live') }
1;
