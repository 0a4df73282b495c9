use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use PAGI::Simple::View;
use PAGI::Simple::View::Vars;
use PAGITest::Backends qw(each_backend);

# Templates: escaping, layouts, blocks, helpers, errors, htmx.

each_backend('t/simple/apps/views.pl', sub ($client, $backend) {
    my $page = $client->get('/todos');
    (my $html = $page->text) =~ s/\s*\n\s*//g;
    is $html, '<html><head><title>Main: Todos</title><link><script></head><body><main class="wide"><ul><li>&lt;one&gt;ann</li></ul></main></body></html>',
        'nested layouts, blocks from partials, escaping';
    is $page->content_type, 'text/html; charset=utf-8', 'its type';
    my %htmx = ('HX-Request' => 'true');
    unlike $client->get('/todos', headers => {%htmx})->text, qr/<html>/, 'no layout for htmx';
    like $client->get('/todos', headers => { %htmx, 'HX-Boosted' => 'true' })->text, qr/<html>/, 'but for boosted requests';
    like $client->get('/forced', headers => {%htmx})->text, qr/<html>/, 'or when forced';
    like $client->get('/item')->text, qr{\A<li>x</li>}, 'a partial by its plain name';
    is [ map { $_->status, $_->text } $client->get('/utf8') ], [ 201, "caf\x{e9} \x{263a}\n" ], 'files are UTF-8';
    is $client->get('/htmx')->text, '<script src="/static/htmx/htmx.min.js"></script> <script src="/static/htmx/ext/sse.js"></script> '
        . 'hx-get="/todo/7" hx-target="#x" hx-confirm="a &quot;b&quot;" hx-push-url="true" ', 'htmx helpers, route';
    is $client->get('/static/htmx/htmx.min.js')->status, 200, 'the script is served';
    my $add = $client->post('/add', headers => {%htmx});
    like $add->text, qr{<li>new</li>}, 'render_or_redirect renders for htmx';
    is [ [ $add->header_all('hx-trigger') ], $add->header('hx-refresh') ], [ [ '{"added":{"id":7}}', 'plain' ], 'true' ], 'hx_trigger, hx_refresh';
    is [ map { $_->status, $_->location } $client->post('/add') ], [ 302, '/todos' ], 'and redirects all others';
    is [ map { $_->status, $_->text, $_->header('hx-redirect') } $client->post('/remove', headers => {%htmx}) ], [ 200, '', '/x' ], 'empty_or_redirect';
    is $client->post('/remove')->status, 302, 'redirects';
});

my $directory = dirname(__FILE__) . '/templates';
sub view (%options) { return PAGI::Simple::View->new(directory => $directory, %options) }

subtest 'escaping' => sub {
    my $view = view(helpers => { shout => sub ($text) { uc $text }, bold => sub ($text) { PAGI::Simple::View::Helpers::raw("<b>$text</b>") } });
    my $is = sub ($template, $vars, $expected, $name) { is $view->render_string($template, %$vars), $expected, $name };
    $is->(q{[% x %]}, { x => q{<&>"'} }, '&lt;&amp;&gt;&quot;&#39;', 'all five');
    $is->(q{[% raw(x) %][% safe(x) %]}, { x => '<' }, '<<', 'raw and safe');
    $is->(q{[% x | html %]}, { x => '<' }, '&lt;', 'the html filter does not escape twice');
    $is->(q{[% b = BLOCK %]<i>[% x %]</i>[% END %][% b %]}, { x => '<' }, '<i>&lt;</i>', 'captured blocks are safe');
    $is->(q{[% shout(x) %][% bold('x') %]}, { x => '<a' }, '&lt;A<b>x</b>', 'helpers');
    $is->(q{[% safe_concat(raw('<b>'), x) %]}, { x => '<' }, '<b>&lt;', 'safe_concat');
    $is->(q{[% url_encode(x) %] [% escape_javascript(x) %] [% trim(' a ') %]}, { x => "\x{e9}'\n" }, "%C3%A9%27%0A \x{e9}\\'\\n a", 'url_encode, escape_javascript, trim');
    is view(auto_escape => 0)->render_string('[% x %]', x => '<'), '<', 'auto_escape off';
    package SimpleTest::Html { sub TO_HTML { '<hr>' } }
    $is->(q{[% x %]}, { x => bless({}, 'SimpleTest::Html') }, '<hr>', 'TO_HTML');
    $is->(q{[% include('todos/_item', todo => { title => 'i' }) %]}, {}, "<li>i</li>\n", 'include');
    $is->(q{[% content_for('a', 'x') %][% content_for('a', 'y') %][% content('a') %][% block('a', 'z') %][% content('a') %]}, {}, 'xyz', 'content_for and block');
    $is->(q{[% INCLUDE todos/_item.html.tt todo = { title => '<i>' } %]}, {}, "<li>&lt;i&gt;</li>\n", 'the INCLUDE of the engine escapes too');
};

subtest 'helpers' => sub {
    my $view = view();
    is $view->render_string(q{<input [% checked_if(1) %] [% disabled_if(0) %] [% bool_attr('hidden', 1) %]>}), '<input checked  hidden>', 'attributes';
    is $view->render_string(q{[% class_if('on', 1) %] [% active_class('a', 'a') %] [% classes('x', ['y', 1], ['z', 0]) %]}), 'on selected x y', 'classes';
    is $view->render_string(q{[% hx_post('/a?b=1&c="', vals => { n => "it's <" }, swap => 'outerHTML') %]}),
        q{hx-post="/a?b=1&amp;c=&quot;" hx-swap="outerHTML" hx-vals='{"n":"it&#39;s &#60;"}'}, 'all values are escaped (defect 33)';
    is $view->render_string(q{[% hx_sse('/e', swap => 'm') %] [% hx_ws('/w', send => 1) %]}),
        'hx-ext="sse" sse-connect="/e" sse-swap="m" hx-ext="ws" ws-connect="/w" ws-send', 'hx_sse and hx_ws';
    like dies { $view->render_string('[% htmx() %]') }, qr/htmx\(\) requires \$app->share\('htmx'\)/, 'htmx needs its assets';
    package SimpleTest::Role { sub helper_where { my ($view, $context, $x) = @_; ref($context) =~ s/.*:://r . " $x" } }
    is view(roles => ['SimpleTest::Role'])->render_string(q{[% where('here') %]}), 'RenderContext here', 'a role';
    is view(prepend => '[% y = 2 %]')->render_string('[% y %]'), 2, 'prepend';
};

subtest 'variables' => sub {
    my $v = PAGI::Simple::View::Vars->new({ b => 1, a => undef });
    is [ $v->b, $v->a, $v->{none}, $v->has('a'), $v->has('x'), [ $v->keys ] ], [ 1, undef, undef, 1, 0, [ 'a', 'b' ] ], 'access';
    like dies { $v->c }, qr/Unknown template variable 'c'\. Available: a, b/, 'unknown ones die';
    is [ $v->can('b') ? 1 : 0, $v->can('c') ? 1 : 0 ], [ 1, 0 ], 'can';
    like dies { PAGI::Simple::View::Vars->new([]) }, qr/must be a hashref/, 'hashref only';
    is view()->render_string('[% v.x %]', x => '<'), '&lt;', 'in a template';
    like dies { view()->render_string('[% v.nope %]', x => 1) }, qr/Unknown template variable 'nope'. Available: x/, 'strict there';
};

subtest 'errors and caching' => sub {
    like dies { view()->render('todos/indx') }, qr{Template not found: 'todos/indx'\nSearched paths:\n.*Template directory: .*\nDid you mean: .*todos/index}s, 'not found';
    like dies { view()->render('../views') }, qr/Template not found/, 'nothing outside the directory';
    like dies { PAGI::Simple::View->new(directory => '/no/such')->render('x') }, qr/WARNING.*does not exist/, 'no directory';
    like dies { view()->render('broken') }, qr{Template compilation error in 'broken'\nFile: .*broken\.html\.tt\nError: }, 'does not compile';
    like dies { view(development => 1)->render('broken') }, qr/Full template source:\n\[% IF x %\]never closed/, 'with its source in development';
    like dies { view(colour => 1) }, qr/Unknown view options: colour/, 'unknown options';

    my $temp = tempdir(CLEANUP => 1);
    my $write = sub ($text) { open my $fh, '>', "$temp/x.html.tt" or die; print $fh $text; close $fh };
    $write->('one');
    my ($cached, $fresh) = (PAGI::Simple::View->new(directory => $temp), PAGI::Simple::View->new(directory => $temp, development => 1));
    $_->render('x') for $cached, $fresh;
    $write->('two');
    is [ $cached->render('x'), $fresh->render('x') ], [ 'one', 'two' ], 'cached, and read anew in development';
    is $cached->clear_cache->render('x'), 'two', 'clear_cache';
};

done_testing;
