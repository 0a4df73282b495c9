package PAGI::Simple::View::Helpers::Form;

use strict;
use warnings;

use PAGI::Simple::View::Form;
use PAGI::Simple::View::Helpers qw(attributes escape safe);
use Scalar::Util qw(blessed);

sub functions {
    return {
        form_for         => sub { my ($model, @args) = @_; PAGI::Simple::View::Form->for_model($model, @args) },
        form_tag         => sub { my ($url, @args) = @_; form_tag($url, @args) },
        input_tag        => sub { _input(text     => @_) },
        password_tag     => sub { _input(password => @_) },
        hidden_tag       => sub { _input(hidden   => @_) },
        checkbox_tag     => sub { _choice(checkbox => @_) },
        radio_button_tag => sub { _choice(radio    => @_) },
        text_area_tag    => \&text_area_tag,
        select_tag       => sub { my ($name, $options, $attributes) = @_; _element('select', { id => _id($name), name => $name, _given($attributes) }, $options) },
        option_tag       => sub { my ($text, $attributes) = @_; _element('option', $attributes, $text) },
        options_for_select                 => \&options_for_select,
        options_from_collection_for_select => \&options_from_collection,
        label_tag    => sub { my ($name, $text, $attributes) = @_; ($text, $attributes) = (undef, $text) if ref $text eq 'HASH'; _element('label', { for => _id($name), _given($attributes) }, defined $text ? $text : humanize($name)) },
        submit_tag   => sub { my ($text, $attributes) = @_; ($text, $attributes) = (undef, $text) if ref $text eq 'HASH'; _void('input', { type => 'submit', name => 'commit', value => defined $text ? $text : 'Save changes', _given($attributes) }) },
        button_tag   => sub { my ($text, $attributes) = @_; _element('button', { type => 'submit', _given($attributes) }, defined $text ? $text : 'Button') },
        legend_tag   => sub { my ($text, $attributes) = @_; _element('legend', $attributes, $text) },
        fieldset_tag => sub {
            my ($legend, $content, $attributes) = @_;
            _element('fieldset', $attributes, defined $legend && length "$legend" ? safe('<legend>' . escape($legend) . '</legend>' . escape($content)) : $content);
        },
    };
}

# Browsers send GET and POST; what else is meant travels in _method, where MethodOverride finds it.
sub form_tag {
    my ($url, $attributes, $content) = @_;
    ($attributes, $content) = (undef, $attributes) if ref $attributes ne 'HASH';
    my %given = _given($attributes);
    my $method = uc(delete $given{method} || 'POST');
    my $hidden = $method eq 'GET' || $method eq 'POST' ? '' : _input(hidden => _method => $method, { id => undef });
    my $start = '<form ' . attributes(_ordered({ action => $url, method => $method eq 'GET' ? 'get' : 'post', %given })) . '>' . $hidden;
    return safe($start . (ref $content eq 'CODE' ? escape($content->()) : escape($content)) . (defined $content ? '</form>' : ''));
}

sub text_area_tag {
    my ($name, $content, $attributes) = @_;
    # a browser drops the first line break of the content
    my $text = defined $content ? escape($content) : '';
    return _element('textarea', { id => _id($name), name => $name, _given($attributes) }, safe("\n$text"));
}

# Texts, or [text, value] pairs, or [text, value, attributes].
sub options_for_select {
    my ($options, $selected) = @_;
    my %selected = map { $_ => 1 } grep { defined } ref $selected eq 'ARRAY' ? @$selected : $selected;
    my $html = '';
    for my $option (@{ $options || [] }) {
        my ($text, $value, $attributes) = ref $option eq 'ARRAY' ? @$option : ($option, $option);
        $value = $text unless defined $value;
        $html .= _element('option', { value => $value, ($selected{$value} ? (selected => \1) : ()), _given($attributes) }, $text);
    }
    return safe($html);
}

sub options_from_collection {
    my ($collection, $value_of, $text_of, $selected) = @_;
    my @items = blessed $collection && $collection->can('all') ? $collection->all : @{ $collection || [] };
    return options_for_select([ map { [ PAGI::Simple::View::Form::value_of($_, $text_of), PAGI::Simple::View::Form::value_of($_, $value_of) ] } @items ], $selected);
}

sub humanize {
    my ($name) = @_;
    my ($last) = $name =~ /([A-Za-z0-9_]+)\]?\z/ or return $name;
    $last =~ tr/_/ /;
    return ucfirst $last;
}

sub _input {
    my ($type, $name, $value, $attributes) = @_;
    ($value, $attributes) = (undef, $value) if ref $value eq 'HASH';
    return _void('input', {
        id => _id($name), name => $name, type => $type, (defined $value ? (value => $value) : ()), _given($attributes),
    });
}

sub _choice {
    my ($type, $name, $value, $checked, $attributes) = @_;
    ($checked, $attributes) = (0, $checked) if ref $checked eq 'HASH';
    $value = 1 unless defined $value;
    my $id = $type eq 'radio' ? _id("${name}_$value") : _id($name);
    return _void('input', { id => $id, name => $name, type => $type, value => $value, ($checked ? (checked => \1) : ()), _given($attributes) });
}

sub _id {
    my ($name) = @_;
    my $id = defined $name ? "$name" : '';
    $id =~ s/[^A-Za-z0-9_-]+/_/g;
    $id =~ s/_+\z//;
    return $id;
}

sub _given { my ($attributes) = @_; return ref $attributes eq 'HASH' ? %$attributes : () }

sub _element {
    my ($tag, $attributes, $content) = @_;
    return safe(_start($tag, $attributes) . escape(ref $content eq 'CODE' ? $content->() : $content) . "</$tag>");
}

sub _void { my ($tag, $attributes) = @_; return safe(_start($tag, $attributes)) }

sub _start {
    my ($tag, $attributes) = @_;
    my @pairs = _ordered($attributes);
    return "<$tag>" unless @pairs;
    my @html;
    while (my ($name, $value) = splice @pairs, 0, 2) {
        # a reference is an attribute without a value: there or not
        push @html, ref $value eq 'SCALAR' ? ($$value ? escape($name) : ()) : attributes($name, $value);
    }
    return '<' . join(' ', $tag, @html) . '>';
}

# The same order every time, data attributes of a hashref spread, undefined ones left out.
sub _ordered {
    my ($attributes) = @_;
    my %all = _given($attributes);
    if (ref $all{data} eq 'HASH') {
        my $data = delete $all{data};
        $all{"data-$_"} = $data->{$_} for keys %$data;
    }
    return map { $_ => $all{$_} } grep { defined $all{$_} } sort keys %all;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View::Helpers::Form - template helpers for forms

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::View::Helpers::Form;

    my $helpers = PAGI::Simple::View::Helpers::Form->functions;
    print $helpers->{label_tag}->('user.first_name'), "\n";    # <label for="user_first_name">First name</label>
    print $helpers->{input_tag}->('user.first_name', 'Ann'), "\n";

=head1 DESCRIPTION

    [% form_tag('/people', class => 'wide') %]
      [% label_tag('name') %] [% input_tag('name', person.name) %]
      [% select_tag('team', options_for_select(['Red', ['Blue', 2]], 2)) %]
      [% submit_tag('Save') %]
    </form>

Every helper returns HTML in which texts and attribute values are escaped. The last argument is a hash of attributes (named arguments
in a template); C<data> may be a hash of its own, and a reference to a true or false value is an attribute without a value. The C<id> is made
from the name: letters, digits, C<-> and C<_>.

Names of fields such as C<person.name> or C<items[0].title> are what L<PAGI::Simple::StructuredParams> reads.

=over 4

=item form_tag($url, \%attributes, $content)

C<method> defaults to C<post>. Another method than GET and POST becomes a hidden field C<_method>, for L<PAGI::Middleware::MethodOverride>. Without content
only the start tag.

=item input_tag($name, $value), password_tag, hidden_tag

=item checkbox_tag($name, $value = 1, $checked), radio_button_tag($name, $value, $checked)

=item text_area_tag($name, $content)

=item select_tag($name, $options), option_tag($text), options_for_select(\@options, $selected), options_from_collection_for_select($collection, $value_method, $text_method, $selected)

Options are texts, or C<[text, value]>, or C<[text, value, \%attributes]>; what is selected is a value or an arrayref of them. A collection is an arrayref, or
an object with C<all>, of objects or hashrefs.

=item label_tag($name, $text), submit_tag($text = 'Save changes'), button_tag($text), fieldset_tag($legend, $content), legend_tag($text)

=item form_for($model, %options)

See L<PAGI::Simple::View::Form>.

=back

=head1 METHODS

=head2 functions

Hashref of the helpers.

=head2 form_tag, text_area_tag, options_for_select, options_from_collection, humanize

Functions behind them. C<humanize('user.first_name')> is C<First name>.

=cut
