use v5.36;
use Test2::V0;
use File::Temp qw(tempdir);
use PAGI::Simple::View;
use PAGI::Simple::View::Form;

# Helpers for forms, as templates call them.

my $view = PAGI::Simple::View->new(directory => tempdir(CLEANUP => 1));
sub html ($template, $expected, $name, %vars) { is $view->render_string($template, %vars), $expected, $name }

subtest 'tags' => sub {
    html q{[% input_tag('user.name', x) %]}, '<input id="user_name" name="user.name" type="text" value="&quot;&lt;">', 'input_tag, escaped', x => '"<';
    html q{[% input_tag('n', 'v', class => 'wide', id => 'x', type => 'email', data => { a => 1 }) %]}, '<input class="wide" data-a="1" id="x" name="n" type="email" value="v">', 'attributes';
    html q{[% input_tag('n', class => 'wide') %]}, '<input class="wide" id="n" name="n" type="text">', 'without a value';
    html q{[% password_tag('p') %][% hidden_tag('h', 0) %]}, '<input id="p" name="p" type="password"><input id="h" name="h" type="hidden" value="0">', 'password_tag, hidden_tag';
    html q{[% checkbox_tag('c') %][% checkbox_tag('c', 'yes', 1) %]}, '<input id="c" name="c" type="checkbox" value="1"><input checked id="c" name="c" type="checkbox" value="yes">', 'checkbox_tag';
    html q{[% radio_button_tag('r', 'a b', 1, class => 'x') %]}, '<input checked class="x" id="r_a_b" name="r" type="radio" value="a b">', 'radio_button_tag';
    html q{[% text_area_tag('t', x, rows => 3) %]}, qq{<textarea id="t" name="t" rows="3">\n&lt;b&gt;</textarea>}, 'text_area_tag', x => '<b>';
    html q{[% select_tag('s', options_for_select(['Red', ['Blue & co', 2], ['None', '', { disabled => 'disabled' }]], 2)) %]},
        '<select id="s" name="s"><option value="Red">Red</option><option selected value="2">Blue &amp; co</option><option disabled="disabled" value="">None</option></select>', 'select_tag, options_for_select';
    html q{[% options_for_select([1, 2, 3], [1, 3]) %]}, '<option selected value="1">1</option><option value="2">2</option><option selected value="3">3</option>', 'several selected';
    html q{[% options_from_collection_for_select(people, 'id', 'name', 2) %]}, '<option value="1">Ann</option><option selected value="2">Bob</option>', 'options_from_collection_for_select',
        people => [ { id => 1, name => 'Ann' }, bless({ id => 2 }, 'SimpleTest::Bob') ];
    html q{[% option_tag('x', value => 1) %]}, '<option value="1">x</option>', 'option_tag';
    html q{[% label_tag('user.first_name') %][% label_tag('a', 'B', class => 'c') %]}, '<label for="user_first_name">First name</label><label class="c" for="a">B</label>', 'label_tag';
    html q{[% submit_tag() %][% submit_tag('Go', class => 'x') %][% button_tag('B', type => 'button') %]},
        '<input name="commit" type="submit" value="Save changes"><input class="x" name="commit" type="submit" value="Go"><button type="button">B</button>', 'submit_tag, button_tag';
    html q{[% fieldset_tag('L', input_tag('n')) %][% legend_tag('<') %]}, '<fieldset><legend>L</legend><input id="n" name="n" type="text"></fieldset><legend>&lt;</legend>', 'fieldset_tag, legend_tag';
    html q{[% form_tag('/x?a=1&b="') %]</form>}, '<form action="/x?a=1&amp;b=&quot;" method="post"></form>', 'form_tag';
    html q{[% form_tag('/x', method => 'delete', class => 'c') %]</form>}, '<form action="/x" class="c" method="post"><input name="_method" type="hidden" value="DELETE"></form>', 'another method';
    html q{[% c = BLOCK %]<p>[% END %][% form_tag('/x', { method => 'get' }, c) %]}, '<form action="/x" method="get"><p></form>', 'with content';
};

package SimpleTest::Bob { sub name ($self) { 'Bob' } }
package SimpleTest::TodoItem {
    sub new ($class, %args) { return bless {%args}, $class }
    sub title ($self) { return $self->{title} }
    sub errors ($self) { return { title => [ 'is too short', 'is <odd>' ], team => 'is full' } }
}

subtest 'form_for' => sub {
    my $todo = SimpleTest::TodoItem->new(title => 'T<', team => 2, done => 1, size => 'l');
    html q{[% f = form_for(todo, url => '/todos', attributes => { class => 'c' }) %][% f.start %][% f.label('title') %][% f.input('title', maxlength => 9) %][% f.errors_for('title') %][% f.end %]},
        '<form action="/todos" class="c" method="post"><label for="todo_item_title">Title</label>'
        . '<input aria-invalid="true" class="invalid" id="todo_item_title" maxlength="9" name="todo_item.title" type="text" value="T&lt;">'
        . '<ul class="errors"><li>is too short</li><li>is &lt;odd&gt;</li></ul></form>', 'an object, with errors', todo => $todo;
    html q{[% f = form_for(todo, url => '/', as => 't', errors => {}) %][% f.select('team', ['Red', ['Blue', 2]]) %][% f.text_area('title') %]},
        qq{<select id="t_team" name="t.team"><option value="Red">Red</option><option selected value="2">Blue</option></select><textarea id="t_title" name="t.title">\nT&lt;</textarea>}, 'a prefix of its own', todo => $todo;
    html q{[% f = form_for({ done => 1, size => 'l', p => 'secret' }, url => '/') %][% f.checkbox('done') %][% f.radio_button('size', 'l') %][% f.radio_button('size', 'm') %][% f.password('p') %][% f.hidden('size') %][% f.submit('Go') %][% f.button('B') %][% f.errors_for('x') %][% f.has_errors('x') %]},
        '<input name="done" type="hidden" value="0"><input checked id="done" name="done" type="checkbox" value="1">'
        . '<input checked id="size_l" name="size" type="radio" value="l"><input id="size_m" name="size" type="radio" value="m">'
        . '<input id="p" name="p" type="password"><input id="size" name="size" type="hidden" value="l">'
        . '<input name="commit" type="submit" value="Go"><button type="submit">B</button>0', 'a hash; a password is not shown';
    is '' . PAGI::Simple::View::Form->for_model({ a => 1 }, url => '/', sub ($f) { $f->input('a') }),
        '<form action="/" method="post"><input id="a" name="a" type="text" value="1"></form>', 'with a coderef: the whole form';
    like dies { PAGI::Simple::View::Form->for_model({}, urn => '/') }, qr/Unknown options to form_for: urn/, 'options';
    like dies { PAGI::Simple::View::Form->for_model({})->start }, qr/form_for needs a url/, 'no url';
};

done_testing;
