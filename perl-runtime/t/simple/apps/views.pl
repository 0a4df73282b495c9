use v5.36;
use Cwd ();
use File::Basename qw(dirname);
use PAGI::Simple;

# What t/simple/views.t asks for.
my $app = PAGI::Simple->new(name => 'Views', quiet => 1, home => dirname(Cwd::abs_path(__FILE__)) . '/..', views => undef, share => 'htmx');
$app->get('/todos' => sub ($c) { $c->render('todos/index', todos => [ { title => '<one>' } ], user => 'ann') })->name('todos');
$app->get('/todo/:id' => sub ($c) { $c->text($c->path_params->{id}) })->name('todo');
$app->get('/item' => sub ($c) { $c->render('todos/item', todo => { title => 'x' }, layout => 0) });
$app->get('/forced' => sub ($c) { $c->render('todos/index', todos => [], layout => 1) });
$app->get('/utf8' => sub ($c) { $c->status(201)->render('utf8', name => "\x{263a}") });
$app->get('/htmx' => sub ($c) { $c->html($c->render_string(
    '[% htmx() %] [% htmx_sse %] [% hx_get(route("todo", id => 7), target => "#x", push_url => 1, confirm => "a \"b\"") %] [% route("none") %]')) });
$app->post('/add' => sub ($c) { $c->hx_trigger('added', id => 7)->hx_trigger('plain')->hx_refresh->render_or_redirect('/todos', 'todos/item', todo => { title => 'new' }) });
$app->post('/remove' => sub ($c) { $c->hx_redirect('/x')->empty_or_redirect('/todos') });
$app->to_app;
