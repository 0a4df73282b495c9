package PAGI::Simple::View;

use strict;
use warnings;

use Carp qw(croak);
use File::Find ();
use PAGI::Simple::View::Directive;
use PAGI::Simple::View::Helpers qw(safe);
use PAGI::Simple::View::RenderContext;
use PAGI::Simple::View::Vars;
use Template::Config;
use Template::Context;
use Template::Document;
use Template::Parser;

our @CARP_NOT = qw(PAGI::Simple PAGI::Simple::Context PAGI::Simple::Context::Response PAGI::Simple::View::RenderContext);

my %DEFAULT = (extension => '.html.tt', auto_escape => 1, cache => 1, development => 0, helpers => {}, roles => [], prepend => '', preamble => '');

sub new {
    my ($class, %options) = @_;
    my $app = delete $options{app};
    my $directory = delete $options{directory};
    $directory = delete $options{template_dir} unless defined $directory;
    my @unknown = grep { !exists $DEFAULT{$_} } sort keys %options;
    croak 'Unknown view options: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort 'directory', 'template_dir', keys %DEFAULT) if @unknown;
    croak 'A view needs a directory' unless defined $directory;

    my $self = bless { %DEFAULT, %options, app => $app, directory => $directory, documents => {} }, $class;
    $self->{cache} = 0 if $self->{development};
    require Scalar::Util;
    Scalar::Util::weaken($self->{app}) if ref $app;
    # INCLUDE, PROCESS and WRAPPER of the engine find their files here as well, and escape like everything else
    my %engine = (
        INCLUDE_PATH => [$directory],
        ENCODING     => 'UTF-8',
        EVAL_PERL    => 0,
        ($self->{cache} ? () : (CACHE_SIZE => 0)),
        ($self->{auto_escape} ? (
            FACTORY => 'PAGI::Simple::View::Directive',
            FILTERS => { html => sub { $_[0] } },    # what arrives there is escaped already
        ) : ()),
    );
    $self->{parser} = Template::Config->parser(\%engine) or die 'Cannot set up the template parser: ' . Template::Config->error . "\n";
    $self->{engine} = Template::Context->new({ %engine, PARSER => $self->{parser} }) or die 'Cannot set up the template engine: ' . Template::Context->error . "\n";
    $self->{functions} = $self->_functions;
    return $self;
}

sub app          { return $_[0]{app} }
sub template_dir { return $_[0]{directory} }
sub extension    { return $_[0]{extension} }

sub current_render_context { return $PAGI::Simple::View::RenderContext::CURRENT }

sub clear_cache {
    my ($self) = @_;
    $self->{documents} = {};
    return $self;
}

# --- what templates can call: made once, they find the render they belong to through current_render_context

sub _functions {
    my ($self) = @_;
    my %functions = (%{ PAGI::Simple::View::Helpers::functions() }, %{ PAGI::Simple::View::RenderContext::functions() });
    for my $group (qw(Html Htmx Form)) {
        my $class = "PAGI::Simple::View::Helpers::$group";
        (my $file = "$class.pm") =~ s{::}{/}g;
        require $file;
        my $more = $class->functions;
        @functions{ keys %$more } = values %$more;
    }
    for my $role (@{ $self->{roles} }) {
        (my $file = "$role.pm") =~ s{::}{/}g;
        $role->can('can') && %{ _symbols($role) } or require $file;
        for my $symbol (grep { /\Ahelper_/ && $role->can($_) } keys %{ _symbols($role) }) {
            my $code = $role->can($symbol);
            (my $name = $symbol) =~ s/\Ahelper_//;
            $functions{$name} = sub { $code->($self, $self->current_render_context, @_) };
        }
    }
    return { %functions, %{ $self->{helpers} } };
}

sub _symbols { no strict 'refs'; return \%{"$_[0]::"} }

# --- rendering

sub render {
    my ($self, $name, %vars) = @_;
    return $self->render_for(undef, $name, %vars);
}

sub render_for {
    my ($self, $c, $name, %vars) = @_;
    my $layout = delete $vars{layout};
    $layout = !$c || !$c->req->is_htmx || $c->req->is_boosted unless defined $layout;
    return PAGI::Simple::View::RenderContext->new(view => $self, context => $c)->run($self->document($name), \%vars, $layout);
}

sub render_string {
    my ($self, $text, %vars) = @_;
    return $self->render_string_for(undef, $text, %vars);
}

sub render_string_for {
    my ($self, $c, $text, %vars) = @_;
    my $layout = delete $vars{layout};
    return PAGI::Simple::View::RenderContext->new(view => $self, context => $c)
        ->run($self->_compile($text, 'inline template'), \%vars, defined $layout ? $layout : 1);
}

sub render_fragment {
    my ($self, $name, %vars) = @_;
    return $self->render_for(undef, $name, %vars, layout => 0);
}

sub include {
    my ($self, $name, %vars) = @_;
    my $current = $self->current_render_context;
    return $current ? $current->include($name, %vars) : $self->render_fragment($name, %vars);
}

# Output of a compiled template, with the variables of one render.
sub process {
    my ($self, $document, $vars) = @_;
    my $output = eval { $self->{engine}->include($document->{template}, { %{ $self->{functions} }, %$vars, v => PAGI::Simple::View::Vars->new($vars) }) };
    return $output if defined $output;
    my $error = $@;
    $error = $error->info if ref $error && eval { $error->isa('Template::Exception') } && $error->info =~ /\ATemplate /;
    die $error if !ref $error && $error =~ /\ATemplate (?:not found|compilation)/;
    die ref $error ? $error : "$error" unless ref $error && eval { $error->isa('Template::Exception') };
    die "Template error in '$document->{name}'\nError: " . $error->info . "\n";
}

# --- templates

sub document {
    my ($self, $name) = @_;
    return $self->{documents}{$name} if $self->{documents}{$name};
    my $path = $self->_find($name);
    open my $handle, '<:encoding(UTF-8)', $path or die "Cannot read the template $path: $!\n";
    my $text = do { local $/; <$handle> };
    my $document = $self->_compile(defined $text ? $text : '', $name, $path);
    $self->{documents}{$name} = $document if $self->{cache};
    return $document;
}

sub _compile {
    my ($self, $text, $name, $path) = @_;
    my $parsed = $self->{parser}->parse("$self->{preamble}$self->{prepend}$text", { name => $name });
    my $template = $parsed && Template::Document->new({ %$parsed, METADATA => { %{ $parsed->{METADATA} || {} }, name => $name } });
    return { name => $name, template => $template } if $template;
    my $reason = $self->{parser}->error || Template::Document->error;
    die "Template compilation error in '$name'\n"
        . (defined $path ? "File: $path\n" : '')
        . "Error: $reason\n"
        . ($self->{development} ? "Full template source:\n$text\n" : '');
}

# 'todos/item' is todos/item, or the partial todos/_item.
sub _find {
    my ($self, $name) = @_;
    my @tried;
    if (defined $name && length $name && $name !~ m{(?:\A|/)\.\.(?:/|\z)|\0}) {
        my @names = ($name);
        push @names, $name =~ s{([^/]+)\z}{_$1}r if $name =~ m{/} && $name !~ m{/_[^/]*\z};
        for my $candidate (@names) {
            my $path = "$self->{directory}/$candidate$self->{extension}";
            return $path if -f $path;
            push @tried, $path;
        }
    }
    die $self->_not_found(defined $name ? $name : '', @tried);
}

sub _not_found {
    my ($self, $name, @tried) = @_;
    my $message = "Template not found: '$name'\n" . join('', "Searched paths:\n", map { "  $_\n" } @tried)
        . "Template directory: $self->{directory}\n";
    return $message . "WARNING: the template directory does not exist\n" unless -d $self->{directory};
    my @similar = $self->_similar($name);
    return $message . (@similar ? "Did you mean: " . join(', ', @similar) . "\n" : '');
}

sub _similar {
    my ($self, $name) = @_;
    my ($wanted) = lc($name) =~ m{([^/]*)\z};
    my @all;
    File::Find::find({ no_chdir => 1, wanted => sub {
        push @all, $1 if $File::Find::name =~ m{\A\Q$self->{directory}\E/(.+)\Q$self->{extension}\E\z};
    } }, $self->{directory});
    my @similar = sort grep {
        my ($last) = lc =~ m{_?([^/]*)\z};
        length $wanted && (index($last, substr $wanted, 0, 3) == 0 || index($last, $wanted) >= 0 || (length $last && index($wanted, $last) >= 0));
    } @all;
    return @similar > 5 ? @similar[0 .. 4] : @similar;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View - templates

=head1 SYNOPSIS

    use strict;
    use warnings;
    use File::Temp qw(tempdir);
    use PAGI::Simple::View;

    my $view = PAGI::Simple::View->new(directory => tempdir(CLEANUP => 1));
    print $view->render_string('Hello [% name %]!', name => '<Ann>'), "\n";    # Hello &lt;Ann&gt;!

=head1 DESCRIPTION

Templates of the Template Toolkit (L<Template::Manual>; Debian package C<libtemplate-perl>), in files read as UTF-8, with what a web page needs around them:
output is HTML-escaped unless it is marked safe, pages have layouts and named blocks, and there are helpers.

    [% layout('main', title => 'Todos') %]
    [% content_for('head', raw('<link rel="stylesheet" href="/todo.css">')) %]
    <ul>[% FOREACH todo IN todos; include('todos/item', todo => todo); END %]</ul>

C<$c-E<gt>render('todos/list')> looks for F<todos/list.html.tt>, then F<todos/_list.html.tt>, in the directory.

=head2 Variables

As C<[% name %]> (nothing if there is none), or through C<v>, which dies for an unknown name and lists the known: C<[% v.name %]>. See
L<PAGI::Simple::View::Vars>. Text captured with C<[% x = BLOCK %]...[% END %]> is safe.

=head2 Layouts and blocks

C<extends('layouts/x', title =E<gt> 'T')> or C<layout('x', ...)> puts the page into a layout, which may have a layout itself; there, C<content()> is the
page and C<content('name')> a block. C<content_for('name', text)> appends to a block, C<block('name', text)> replaces it. For htmx requests that are not
boosted the layout is left out; C<layout =E<gt> 1> or C<0> among the variables of C<render> decides it.

=head2 Helpers

=over 4

=item engine

C<raw safe safe_concat html_escape url_encode escape_javascript trim mtrim>

=item view

C<include extends layout content content_for block capture route>; C<route('name', id =E<gt> 7)> is C<url_for>, C<''> if unknown

=item attributes

L<PAGI::Simple::View::Helpers::Html>

=item htmx

L<PAGI::Simple::View::Helpers::Htmx>

=item forms

L<PAGI::Simple::View::Helpers::Form>

=back

=head1 METHODS

=head2 new

=over 4

=item directory, template_dir

Where the templates are. Required.

=item extension

Default C<.html.tt>.

=item auto_escape

Default 1.

=item cache

Keep compiled templates; default 1.

=item development

Reads templates anew each time and shows their source in errors; default 0, or the option of the application.

=item helpers

Hashref of coderefs, called with the arguments of the template (named ones as a trailing hashref).

=item roles

Arrayref of packages; their subs C<helper_NAME> become helpers, called with the view, the render context and the arguments.

=item preamble

Template text put before everything else in each template: the C<BLOCK> and C<MACRO> definitions that all of them use.

=item prepend

Template text put at the start of each template, after the preamble.

=back

Croaks C<Unknown view options: ...>.

=head2 render, render_string, render_fragment, include

    my $html = $view->render('todos/list', todos => \@todos);

Characters. C<render_fragment> is without layout. Die with C<Template not found: 'NAME'> and where it was looked for, C<Template compilation error in 'NAME'>,
or C<Template error in 'NAME'>.

=head2 render_for, render_string_for

The same for a context, whose request decides about the layout.

=head2 document, process

A compiled template; its output for a hashref of variables. For L<PAGI::Simple::View::RenderContext>.

=head2 app, template_dir, extension, clear_cache, current_render_context

C<clear_cache> returns the view. The render context is that of the template running now, or undef.

=cut
