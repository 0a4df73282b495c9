use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;

# A list kept on the page by htmx: every change answers with a piece of HTML.
my $app = PAGI::Simple->new(name => 'Todo', views => 'templates', share => 'htmx');

$app->add_service(Todos => sub ($app) { bless { items => [], next => 1 }, 'Todo::List' });

package Todo::List {
    sub all ($self) { return @{ $self->{items} } }
    sub add ($self, $title) { push @{ $self->{items} }, my $todo = { id => $self->{next}++, title => $title, done => 0 }; return $todo }
    sub find ($self, $id) { my ($todo) = grep { $_->{id} == $id } $self->all; return $todo }
    sub remove ($self, $id) { @{ $self->{items} } = grep { $_->{id} != $id } $self->all; return }
}

$app->get('/' => sub ($c) { $c->render('todos/index', todos => [ $c->service('Todos')->all ]) })->name('todos');

$app->post('/todos' => async sub ($c) {
    my $data = (await $c->structured_body)->permitted('title')->required('title')->to_hash;
    my $todo = $c->service('Todos')->add($data->{title});
    $c->app->pubsub->publish(todos => 'changed');
    await $c->render_or_redirect($c->url_for('todos'), 'todos/_item', todo => $todo);
})->name('add');

$app->group('/todos/{id:[0-9]+}', [ \&load ], sub ($app) {
    $app->post('/toggle' => sub ($c) {
        my $todo = $c->stash->{todo};
        $todo->{done} = !$todo->{done};
        $c->app->pubsub->publish(todos => 'changed');
        $c->render_or_redirect($c->url_for('todos'), 'todos/_item', todo => $todo);
    })->name('toggle');
    $app->delete('' => sub ($c) {
        $c->service('Todos')->remove($c->stash->{todo}{id});
        $c->app->pubsub->publish(todos => 'changed');
        $c->empty_or_redirect($c->url_for('todos'));
    })->name('todo');
});

# Other windows reload the list when somebody changes it.
$app->sse('/live' => sub ($sse) { $sse->subscribe('todos' => sub ($what) { $sse->send($what, event => 'todos') }) });
$app->get('/list' => sub ($c) { $c->render('todos/_list', todos => [ $c->service('Todos')->all ], layout => 0) })->name('list');

sub load ($c, $next) {
    $c->stash->{todo} = $c->service('Todos')->find($c->path_params->{id}) or $c->not_found('There is no such todo');
    return $next->();
}

$app->to_app;
