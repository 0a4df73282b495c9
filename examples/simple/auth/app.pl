use v5.36;
use Digest::SHA qw(hmac_sha256_hex);
use Future::AsyncAwait;
use PAGI::Simple;
use PAGI::Utils::SecureCompare qw(secure_compare);

# A login with sessions. Real passwords belong into a slow hash such as bcrypt or argon2.
my $secret = $ENV{SESSION_SECRET} || 'only for trying it out, please set SESSION_SECRET';
my %password = (ann => hmac_sha256_hex('sesame', $secret));

my $app = PAGI::Simple->new(name => 'Auth', views => 'templates', session => { secret => $secret, expire => 3600 });

$app->middleware(login => sub ($c, $next) {
    return $next->() if $c->session->get('user', undef);
    return $c->redirect_to('login', back => $c->path);
});

$app->get('/' => sub ($c) { $c->render('page', title => 'Welcome', user => $c->session->get('user', undef)) })->name('home');

$app->get('/login' => sub ($c) { $c->render('login', title => 'Log in', back => $c->req->query_param('back') // '/') })->name('login');

$app->post('/login' => async sub ($c) {
    my ($user, $given, $back) = (await $c->param('user'), await $c->param('password'), await $c->param('back'));
    my $right = $password{ $user // '' } // 'x' x 64;
    if (!secure_compare(hmac_sha256_hex($given // '', $secret), $right)) {
        $c->status(401);
        return await $c->render('login', title => 'Log in', back => $back, error => 'Wrong name or password');
    }
    $c->session->set(user => $user);
    $c->session->regenerate;
    # only ever to a page of our own
    await $c->redirect(($back // '') =~ m{\A/[^/\\]} ? $back : $c->url_for('home'), 303);
});

$app->post('/logout' => sub ($c) { $c->session->destroy; $c->redirect_to('home', status => 303) });

$app->group('/members', ['login'], sub ($app) {
    $app->get('/secret' => sub ($c) { $c->render('page', title => 'Members only', user => $c->session->get('user')) });
});

$app->to_app;
