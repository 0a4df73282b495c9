package PAGI::Simple::View::Form;

use strict;
use warnings;

use PAGI::Simple::View::Helpers qw(escape safe);
use Scalar::Util qw(blessed);

my %OPTION = map { $_ => 1 } qw(url method as errors attributes);

sub for_model {
    my ($class, $model, @args) = @_;
    my $content = ref $args[-1] eq 'CODE' ? pop @args : undef;
    my %options = PAGI::Simple::View::Helpers::options(@args);
    my @unknown = grep { !$OPTION{$_} } sort keys %options;
    die 'Unknown options to form_for: ' . join(', ', @unknown) . "\n" if @unknown;
    my $self = bless {
        model  => $model,
        prefix => defined $options{as} ? $options{as} : _name_of($model),
        url    => $options{url},
        method => $options{method},
        attributes => $options{attributes} || {},
        errors => $options{errors} || _errors_of($model),
    }, $class;
    return $content ? safe($self->start . escape($content->($self)) . $self->end) : $self;
}

# What a model says of itself; without that, the last part of its class.
sub _name_of {
    my ($model) = @_;
    return '' unless blessed $model;
    return $model->model_name->param_key if $model->can('model_name');
    my ($last) = ref($model) =~ /(\w+)\z/;
    $last =~ s/(?<=[a-z0-9])(?=[A-Z])/_/g;
    return lc $last;
}

# field => [texts]: a hash of texts or lists, or what validating objects offer.
sub _errors_of {
    my ($model) = @_;
    return {} unless blessed $model && $model->can('errors');
    my $errors = $model->errors;
    return $errors if ref $errors eq 'HASH';
    return $errors->to_hash if blessed $errors && $errors->can('to_hash');
    return {};
}

sub value_of {
    my ($thing, $field) = @_;
    return $thing->$field if blessed $thing && $thing->can($field);
    return ref $thing eq 'HASH' || (blessed $thing && UNIVERSAL::isa($thing, 'HASH')) ? $thing->{$field} : undef;
}

sub model { return $_[0]{model} }

sub name  { my ($self, $field) = @_; return length $self->{prefix} ? "$self->{prefix}.$field" : $field }
sub value { my ($self, $field) = @_; return value_of($self->{model}, $field) }

sub start {
    my ($self) = @_;
    die "form_for needs a url\n" unless defined $self->{url};
    return PAGI::Simple::View::Helpers::Form::form_tag($self->{url}, { %{ $self->{attributes} }, (defined $self->{method} ? (method => $self->{method}) : ()) });
}

sub end { return safe('</form>') }

sub errors_on {
    my ($self, $field) = @_;
    my $errors = $self->{errors}{$field};
    return ref $errors eq 'ARRAY' ? @$errors : defined $errors ? ($errors) : ();
}

sub has_errors { my ($self, $field) = @_; return $self->errors_on($field) ? 1 : 0 }

sub errors_for {
    my ($self, $field, @args) = @_;
    my %attributes = (class => 'errors', PAGI::Simple::View::Helpers::options(@args));
    my @errors = $self->errors_on($field) or return safe('');
    return safe('<ul ' . PAGI::Simple::View::Helpers::attributes(map { $_ => $attributes{$_} } sort keys %attributes) . '>' . join('', map { '<li>' . escape($_) . '</li>' } @errors) . '</ul>');
}

# Each field helper is the tag helper of that name with the field's name and value.
my $tags;
sub _tag { my ($name, @args) = @_; $tags ||= PAGI::Simple::View::Helpers::Form->functions; return $tags->{$name}->(@args) }

sub _attributes {
    my ($self, $field, @args) = @_;
    my %attributes = PAGI::Simple::View::Helpers::options(@args);
    if ($self->has_errors($field)) {
        $attributes{'aria-invalid'} = 'true' unless exists $attributes{'aria-invalid'};
        $attributes{class} = join ' ', grep { defined && length } $attributes{class}, 'invalid';
    }
    return \%attributes;
}

sub label     { my ($self, $field, @args) = @_; my $text = @args && !ref $args[0] ? shift @args : undef; return _tag(label_tag => $self->name($field), $text, { PAGI::Simple::View::Helpers::options(@args) }) }
sub input     { my ($self, $field, @args) = @_; return _tag(input_tag => $self->name($field), $self->value($field), $self->_attributes($field, @args)) }
sub hidden    { my ($self, $field, @args) = @_; return _tag(hidden_tag => $self->name($field), $self->value($field), $self->_attributes($field, @args)) }
sub text_area { my ($self, $field, @args) = @_; return _tag(text_area_tag => $self->name($field), $self->value($field), $self->_attributes($field, @args)) }

# A password is never sent back.
sub password { my ($self, $field, @args) = @_; return _tag(password_tag => $self->name($field), $self->_attributes($field, @args)) }

# An empty box sends nothing: a hidden 0 before it says that it was there.
sub checkbox {
    my ($self, $field, @args) = @_;
    my $box = _tag(checkbox_tag => $self->name($field), 1, $self->value($field), $self->_attributes($field, @args));
    return safe(_tag(hidden_tag => $self->name($field), 0, { id => undef }) . $box);
}

sub radio_button {
    my ($self, $field, $value, @args) = @_;
    my $current = $self->value($field);
    return _tag(radio_button_tag => $self->name($field), $value, defined $current && $current eq $value, $self->_attributes($field, @args));
}

sub select {
    my ($self, $field, $options, @args) = @_;
    my $html = _tag(options_for_select => $options, $self->value($field));
    return _tag(select_tag => $self->name($field), $html, $self->_attributes($field, @args));
}

sub submit { my ($self, $text, @args) = @_; return _tag(submit_tag => $text, { PAGI::Simple::View::Helpers::options(@args) }) }
sub button { my ($self, $text, @args) = @_; return _tag(button_tag => $text, { PAGI::Simple::View::Helpers::options(@args) }) }

require PAGI::Simple::View::Helpers::Form;

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View::Form - a form for the fields of an object

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::View::Form;

    my $form = PAGI::Simple::View::Form->for_model(
        { title => 'Tea', done => 1 }, as => 'todo', url => '/todos/1', method => 'PUT', errors => { title => ['is too short'] },
    );
    print $form->start, $form->label('title'), $form->input('title'), $form->errors_for('title'), $form->checkbox('done'),
        $form->submit('Save'), $form->end, "\n";

=head1 DESCRIPTION

    [% f = form_for(todo, url => route('todo', id => todo.id), method => 'PUT', errors => errors) %]
    [% f.start %]
      [% f.label('title') %] [% f.input('title', maxlength => 80) %] [% f.errors_for('title') %]
      [% f.checkbox('done') %] [% f.submit('Save') %]
    [% f.end %]

The model is a hashref, or an object with an accessor (or a key) for each field. Fields are called C<PREFIX.FIELD>, as L<PAGI::Simple::StructuredParams> reads them
with C<namespace>. Fields with an error get the class C<invalid> and C<aria-invalid="true">. For the attributes see
L<PAGI::Simple::View::Helpers::Form>.

=head1 METHODS

=head2 for_model

    my $form = PAGI::Simple::View::Form->for_model($model, %options);
    my $html = PAGI::Simple::View::Form->for_model($model, %options, sub { my ($form) = @_; ... });

What C<form_for> calls. Options: C<url>, required for C<start>; C<method> (default C<POST>); C<as>, the prefix, by default what C<< $model->model_name->param_key >>
says, or the last part of its class (C<My::TodoItem> gives C<todo_item>), or nothing for a hash; C<errors>, a hashref of texts or arrayrefs of texts by field, by
default from C<< $model->errors >>; C<attributes> of the form. With a coderef the result is the whole form. Another option dies with C<Unknown options to
form_for: NAME>.

=head2 start, end

The tags of the form.

=head2 label, input, password, hidden, text_area, checkbox, radio_button, select, submit, button

    $form->label('title', 'A title', class => 'wide');
    $form->radio_button('size', 'large');
    $form->select('team', [ 'Red', [ 'Blue', 2 ] ]);

A password is never filled in. A checkbox has the value 1, and a hidden 0 before it.

=head2 errors_for, errors_on, has_errors

C<errors_for> is a list for the page, empty without errors; C<errors_on> the texts, C<has_errors> 1 or 0.

=head2 model, name, value

The model; name and value of a field.

=head2 value_of

    my $value = PAGI::Simple::View::Form::value_of($thing, $field);

A function: what an object or hashref has for a field.

=cut
