package PAGI::Simple::View::RenderContext;

use strict;
use warnings;

use PAGI::Simple::View::Helpers qw(escape safe);

# The render whose template is running. Templates run synchronously, so local() is enough.
our $CURRENT;

sub new {
    my ($class, %args) = @_;
    return bless { view => $args{view}, context => $args{context}, parent => $args{parent}, blocks => {}, vars => {} }, $class;
}

sub view    { return $_[0]{view} }
sub context { return $_[0]{context} }
sub parent  { return $_[0]{parent} }
sub app     { my $self = shift; return $self->{context} ? $self->{context}->app : $self->{view}->app }
sub blocks  { return $_[0]{blocks} }
sub layout  { return $_[0]{layout} }

sub layout_vars { return $_[0]{layout_vars} || {} }

sub set_layout {
    my ($self, $name, %vars) = @_;
    @$self{qw(layout layout_vars)} = ($name, \%vars);
    return $self;
}

sub clear_layout {
    my ($self) = @_;
    delete @$self{qw(layout layout_vars)};
    return $self;
}

# The page, then its layout around it, then the layout's layout.
sub run {
    my ($self, $document, $vars, $with_layout) = @_;
    local $CURRENT = $self;
    local $self->{vars} = $vars;
    my $output = $self->{view}->process($document, $vars);
    if (!$with_layout || !defined $self->{layout}) {
        $output =~ s/\A\s+//;
        return $output;
    }
    my $depth = 0;
    while (defined(my $layout = $self->{layout})) {
        die "Layouts are nested too deeply at '$layout'; does one extend itself?\n" if ++$depth > 20;
        my %all = (%$vars, %{ $self->layout_vars });
        $self->clear_layout;
        local $self->{content} = $output;
        local $self->{vars} = \%all;
        $output = $self->{view}->process($self->{view}->document($layout), \%all);
    }
    $output =~ s/\A\s+//;
    return $output;
}

sub include {
    my ($self, $name, %vars) = @_;
    local $CURRENT = $self;
    my %all = (%{ $self->{vars} }, %vars);
    local $self->{vars} = \%all;
    return safe($self->{view}->process($self->{view}->document($name), \%all));
}

sub render          { my ($self, $name, %vars) = @_; return $self->{view}->render_for($self->{context}, $name, %vars) }
sub render_fragment { my ($self, $name, %vars) = @_; return $self->{view}->render_for($self->{context}, $name, %vars, layout => 0) }

sub raw         { return safe($_[1]) }
sub safe_text   { return safe($_[1]) }
sub safe_concat { my ($self, @parts) = @_; return safe(join '', map { escape($_) } @parts) }
sub html_escape { return safe(escape($_[1])) }

sub content {
    my ($self, $name) = @_;
    my $text = defined $name && length $name ? $self->{blocks}{$name} : $self->{content};
    return safe(defined $text ? $text : '');
}

sub content_for {
    my ($self, $name, $text) = @_;
    $self->{blocks}{$name} = (defined $self->{blocks}{$name} ? $self->{blocks}{$name} : '') . $self->_block_text($text);
    return '';
}

sub block {
    my ($self, $name, $text) = @_;
    $self->{blocks}{$name} = $self->_block_text($text);
    return '';
}

sub _block_text {
    my ($self, $text) = @_;
    $text = $text->($self) if ref $text eq 'CODE';
    return defined $text ? "$text" : '';
}

sub capture {
    my ($self, $code) = @_;
    return safe($self->_block_text($code));
}

sub route {
    my ($self, $name, %params) = @_;
    my $from = $self->{context} || $self->{view}->app;
    my $url = $from ? $from->url_for($name, %params) : undef;
    return defined $url ? $url : '';
}

sub functions {
    my $options = \&PAGI::Simple::View::Helpers::options;
    return {
        include     => sub { my ($name, @args) = @_; $CURRENT->include($name, $options->(@args)) },
        extends     => sub { my ($name, @args) = @_; $CURRENT->set_layout($name, $options->(@args)); '' },
        layout      => sub { my ($name, @args) = @_; $CURRENT->set_layout("layouts/$name", $options->(@args)); '' },
        content     => sub { $CURRENT->content(@_) },
        content_for => sub { $CURRENT->content_for(@_) },
        block       => sub { $CURRENT->block(@_) },
        capture     => sub { $CURRENT->capture(@_) },
        route       => sub { my ($name, @args) = @_; $CURRENT->route($name, $options->(@args)) },
    };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::View::RenderContext - the state of one rendering

=head1 SYNOPSIS

    use strict;
    use warnings;
    use File::Temp qw(tempdir);
    use PAGI::Simple::View;

    my $view = PAGI::Simple::View->new(
        directory => tempdir(CLEANUP => 1),
        helpers   => { shout => sub { my ($text) = @_; return uc $text } },
    );
    print $view->render_string('[% shout("hi") %]'), "\n";    # HI

=head1 DESCRIPTION

Holds the blocks and the layout while a page, its partials and its layouts are rendered. Roles get it as an argument, blocks given as coderefs are called
with it.

=head1 METHODS

=head2 new

C<view>, C<context>, C<parent>.

=head2 view, context, parent, app, blocks

What it belongs to; the hashref of blocks.

=head2 layout, set_layout, layout_vars, clear_layout

    $rc->set_layout('layouts/main', title => 'Todos');

=head2 run

    my $html = $rc->run($document, \%vars, $with_layout);

=head2 include, render, render_fragment

A partial with the variables of the page and more; another template of its own.

=head2 content, content_for, block, capture, route

The template functions; see L<PAGI::Simple::View>.

=head2 raw, safe_text, safe_concat, html_escape

Safe text.

=head2 functions

Hashref of the template functions.

=cut
