use v5.36;
use Test2::V0;
use Cwd ();
use File::Basename qw(dirname);
use PAGI::Simple;
use PAGI::Simple::View;
use PAGI::Simple::View::Helpers qw(attributes escape is_safe raw safe);
use PAGI::Simple::View::RenderContext;
use PAGI::Test::Client;

# The ways to set a view up, and what its parts offer to code.

my $here = dirname(Cwd::abs_path(__FILE__));
sub app (%options) { return PAGI::Simple->new(name => 'Parts', quiet => 1, home => $here, %options) }
sub view (%options) { return PAGI::Simple::View->new(directory => "$here/templates", %options) }

subtest 'configuration' => sub {
    is app()->view, undef, 'no view';
    my %form = (
        'undef: templates below home' => { views => undef }, 'a relative directory' => { views => 'templates' }, 'an absolute one' => { views => "$here/templates" },
        'a hashref' => { views => { directory => 'templates', cache => 0 } }, 'a hashref without a directory' => { views => { cache => 0 } },
    );
    for my $name (sort keys %form) {
        my $app = app(%{ $form{$name} });
        is $app->view->template_dir, "$here/templates", $name;
        ref_is $app->view->app, $app, 'the view knows its application';
        ref_is $app->view, $app->view, 'and stays';
    }
    my %options = (directory => 'templates', extension => '.html.tt');
    app(views => \%options) for 1, 2;
    is \%options, { directory => 'templates', extension => '.html.tt' }, 'the options of the caller are left alone';

    my $app = app();
    ref_is $app->views, $app, 'views chains';
    is $app->view->template_dir, "$here/templates", 'views()';
    is $app->views('public', extension => '.html')->view->extension, '.html', 'a later call replaces: pairs';
    is $app->view->template_dir, "$here/public", 'its directory';
    is $app->view->render('index', layout => 0), "<h1>index</h1>\n", 'and its templates';
    is $app->views('templates', { auto_escape => 0 })->view->render_string('[% x %]', x => '<'), '<', 'a hashref';
    is $app->view->extension, '.html.tt', 'nothing is left of the earlier one';
    my $elsewhere = Cwd::getcwd();
    chdir '/' or die $!;
    is app(views => 'templates')->view->template_dir, "$here/templates", 'the working directory does not matter';
    chdir $elsewhere or die $!;
    like dies { app(views => { directory => 'x', colour => 1 })->view }, qr/Unknown view options: colour\. Valid: .*directory/, 'an unknown option';
    like dies { PAGI::Simple::View->new }, qr/A view needs a directory/, 'a view by itself';
};

subtest 'rendering' => sub {
    my $view = view();
    is $view->render_fragment('todos/item', todo => { title => 'x' }), "<li>x</li>\n", 'render_fragment';
    is $view->render_string('[% extends("layouts/base") %]text', layout => 0), 'text', 'a layout that is not wanted';
    is '' . $view->include('todos/item', todo => { title => 'y' }), "<li>y</li>\n", 'include outside a render';
    is $view->current_render_context, undef, 'no render, no context';
    is view(preamble => '[% MACRO twice(x) BLOCK %][% x %][% x %][% END %]', prepend => '[% y = "p" %]')->render_string('[% twice("a") %][% y %]'), 'aap', 'preamble and prepend';
    is $view->render_string('[% mtrim(x) %]|[% trim(x) %]', x => "  a  \n  b  "), "a\nb|a  \n  b", 'mtrim and trim';
    is $view->render_string('[% html_escape(raw("<")) %][% html_escape("<") %]'), '&lt;&lt;', 'html_escape';
    is $view->render_string('[% checked_if(1) %] [% disabled_if(1) %] [% selected_if(1) %] [% readonly_if(1) %] [% required_if(1) %]|[% required_if(0) %]'),
        'checked disabled selected readonly required|', 'attribute helpers';
    is $view->render_string('[% active_class("a", "b") %]|[% active_class("a", "a", "on") %]|[% class_if("on", 0) %]'), '|on|', 'class helpers';
};

subtest 'htmx' => sub {
    my $view = view();
    for my $verb (qw(get post put patch delete)) {
        is $view->render_string(qq{[% hx_$verb('/x', target => '#t', swap => 'innerHTML', trigger => 'click', confirm => 'a "b"', push_url => 1, select => '#s', }
            . q{vals => { a => 1 }, headers => { 'X-A' => 2 }, indicator => '#i', disabled_elt => 'this') %]}),
            qq{hx-$verb="/x" hx-target="#t" hx-swap="innerHTML" hx-trigger="click" hx-confirm="a &quot;b&quot;" hx-push-url="true" hx-select="#s" }
            . q{hx-vals='{"a":1}' hx-headers='{"X-A":2}' hx-indicator="#i" hx-disabled-elt="this"}, "hx_$verb with every option";
    }
    is $view->render_string(q{[% hx_get('/x', push_url => '/y') %]}), 'hx-get="/x" hx-push-url="/y"', 'push_url with a URL';
    is $view->render_string(q{[% hx_sse('/e') %] [% hx_sse('/e', connect => '/f', swap => 'm') %] [% hx_ws('/w', connect => '/v') %]}),
        'hx-ext="sse" sse-connect="/e" hx-ext="sse" sse-connect="/f" sse-swap="m" hx-ext="ws" ws-connect="/v"', 'connect';
    like dies { $view->render_string(q{[% hx_get('/x', colour => 1) %]}) }, qr/Unknown options to hx_get: colour/, 'an unknown option';
    like dies { $view->render_string("[% $_() %]") }, qr/\Q$_\E\(\) requires \$app->share\('htmx'\)/, "$_ needs its assets" for qw(htmx htmx_ws htmx_sse);
    my $app = app(views => undef, share => ['htmx']);
    is $app->has_shared('htmx'), 1, 'share with a list';
    is $app->has_shared('jquery'), 0, 'and nothing else';
    is $app->view->render_string('[% htmx() %]|[% htmx_ws() %]|[% htmx_sse() %]'), join('|', map { qq{<script src="/static/htmx/$_"></script>} } qw(htmx.min.js ext/ws.js ext/sse.js)), 'script tags';
    my $client = PAGI::Test::Client->new(app => $app);
    is [ map { $client->get("/static/htmx/$_")->status } qw(htmx.min.js ext/ws.js ext/sse.js none.js) ], [ 200, 200, 200, 404 ], 'and what they load';
    ok -f $app->share_dir('htmx') . '/htmx.min.js', 'share_dir';
};

subtest 'safe text' => sub {
    my $safe = safe('<b>');
    is [ "$safe", $safe->text, is_safe($safe), is_safe('<b>'), is_safe(undef) ], [ '<b>', '<b>', 1, 0, 0 ], 'safe';
    ref_is safe($safe), $safe, 'is not wrapped twice';
    is [ safe('') ? 1 : 0, safe(undef)->text, raw('<')->text ], [ 0, '', '<' ], 'an empty one is false';
    is escape(undef), '', 'undef';
    is '' . attributes(a => '"', b => safe('&amp;')), 'a="&quot;" b="&amp;"', 'attributes';
    package SimpleTest::Overloaded { use overload '""' => sub { '<o>' }, fallback => 1 }
    is escape(bless {}, 'SimpleTest::Overloaded'), '&lt;o&gt;', 'an object that is a string';
};

subtest 'the render context' => sub {
    my ($app, %seen) = app();
    $app->get('/thing/:id' => sub ($c) { })->name('thing');
    my $helper = sub ($code) { return sub { my $r = PAGI::Simple::View->current_render_context; $code->($r); return '' } };
    $app->views('templates', helpers => {
        look => $helper->(sub ($r) {
            %seen = (
                class => ref $r, view => $r->view == $app->view ? 1 : 0, app => $r->app == $app ? 1 : 0, context => $r->context, parent => $r->parent,
                raw => $r->raw('<')->text, safe => $r->safe_text('<')->text, concat => $r->safe_concat($r->raw('<'), '<')->text, escape => $r->html_escape('<')->text,
                route => $r->route('thing', id => 7), none => $r->route('none'),
                fragment => $r->render_fragment('todos/item', todo => { title => 'f' }), render => $r->render('todos/item', todo => { title => 'r' }),
                include => '' . $r->include('todos/item', todo => { title => 'i' }),
            );
        }),
        blocks => $helper->(sub ($r) {
            $r->content_for(side => 'a');
            $r->content_for(side => sub ($context) { ref $context ? 'b' : 'none' });
            $seen{side} = $r->content('side')->text;
            $r->block(side => sub { 'c' });
            $r->block(gone => sub { undef });
            $seen{blocks} = { %{ $r->blocks } };
            $seen{captured} = $r->capture(sub { '<i>' })->text;
        }),
        layouts => $helper->(sub ($r) {
            $r->set_layout('layouts/none', title => 'T');
            push @{ $seen{layout} }, $r->layout, $r->layout_vars;
            $r->clear_layout;
            push @{ $seen{layout} }, $r->layout, $r->layout_vars;
        }),
    });
    is $app->view->render_string('[% look() %][% blocks() %][% layouts() %]done'), 'done', 'rendered';
    is \%seen, {
        class => 'PAGI::Simple::View::RenderContext', view => 1, app => 1, context => undef, parent => undef, raw => '<', safe => '<', concat => '<&lt;', escape => '&lt;',
        route => '/thing/7', none => '', fragment => "<li>f</li>\n", render => "<li>r</li>\n", include => "<li>i</li>\n",
        side => 'ab', blocks => { head => '<script>', side => 'c', gone => '' }, captured => '<i>', layout => [ 'layouts/none', { title => 'T' }, undef, {} ],
    }, 'what it offers';
    like dies { $app->view->render_string('[% extends("layouts/self") %]') }, qr/Template not found: 'layouts\/self'/, 'a layout that is missing';
};

done_testing;
