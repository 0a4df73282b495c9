package PAGI::Simple::Pattern;

use strict;
use warnings;

use Carp qw(croak);
use Encode ();

our @CARP_NOT = qw(PAGI::Simple PAGI::Simple::Route PAGI::Simple::Router PAGI::Simple::Router::Scoped);

# Only whole segments are special: matching and url_for agree about "/v:id".
sub new {
    my ($class, $path) = @_;
    my $self = bless { path => $path, parts => [], names => [], groups => [] }, $class;
    my ($regex, $group) = ('', 1);
    while ($path =~ m{\G(/+|\{(?:[^{}]|\{[^{}]*\})*\}|[^/\{]+|\{)}gc) {
        my $piece = $1;
        my $alone = $-[0] == 0 || substr($path, $-[0] - 1, 1) eq '/';
        $alone &&= pos($path) == length $path || substr($path, pos $path, 1) eq '/';
        my ($kind, $name, $constraint) = $alone ? _placeholder($piece) : ();
        if (!$kind) {
            $regex .= quotemeta $piece;
            push @{ $self->{parts} }, [ literal => $piece ];
            next;
        }
        croak "The name '$name' occurs twice in the path '$path'" if grep { $_ eq $name } @{ $self->{names} };
        my $inner = $kind eq 'splat' ? '.*' : defined $constraint ? "(?:$constraint)" : '[^/]+';
        my $compiled = eval { qr/($inner)/s };
        croak "Cannot compile the constraint of '$name' in the path '$path': $@" unless defined $compiled;
        $regex .= "($inner)";
        push @{ $self->{names} },  $name;
        push @{ $self->{groups} }, $group;
        # a constraint may have groups of its own
        '' =~ /$compiled|/;
        $group += $#+;
        push @{ $self->{parts} }, [ $kind => $name, defined $constraint ? qr/\A(?:$constraint)\z/s : undef ];
    }
    $self->{regex} = qr/\A$regex\z/s if @{ $self->{names} };
    return $self;
}

sub _placeholder {
    my ($piece) = @_;
    return (named => $1) if $piece =~ /\A:([A-Za-z_]\w*)\z/;
    return (splat => $1) if $piece =~ /\A\*([A-Za-z_]\w*)\z/;
    return (named => $1, $2) if $piece =~ /\A\{([A-Za-z_]\w*)(?::(.+))?\}\z/s;
    return;
}

sub path      { return $_[0]{path} }
sub is_static { return $_[0]{regex} ? 0 : 1 }

# The captures, or undef. A pattern without captures matches with an empty hash.
sub match {
    my ($self, $path) = @_;
    my $regex = $self->{regex};
    return $path eq $self->{path} ? {} : undef unless $regex;
    return undef unless $path =~ $regex;
    my ($names, $groups) = @$self{qw(names groups)};
    my %captures;
    for my $i (0 .. $#$names) {
        my $group = $groups->[$i];
        $captures{ $names->[$i] } = substr $path, $-[$group], $+[$group] - $-[$group];
    }
    return \%captures;
}

# The path filled in from the parameters, which lose the used ones; undef when one is missing or does not fit.
sub fill {
    my ($self, $params) = @_;
    my $url = '';
    for my $part (@{ $self->{parts} }) {
        my ($kind, $name, $constraint) = @$part;
        if ($kind eq 'literal') {
            $url .= _escaped($name, '/:*{}@!$&\'()+,;=');
            next;
        }
        my $value = delete $params->{$name};
        if ($kind eq 'splat') {
            $url .= _escaped_wide(defined $value ? $value : '');
            next;
        }
        return undef unless defined $value && length $value;
        return undef if $constraint && $value !~ $constraint;
        $url .= escape($value);
    }
    return $url;
}

sub escape { return _escaped($_[0], '') }

sub _escaped {
    my ($text, $also) = @_;
    my $bytes = Encode::encode('UTF-8', "$text");
    my $keep = quotemeta $also;
    $bytes =~ s/([^A-Za-z0-9_.~$keep-])/sprintf '%%%02X', ord $1/ge;
    return $bytes;
}

# A wildcard is inserted as given; only what cannot stand in a URL at all is encoded.
sub _escaped_wide {
    my ($text) = @_;
    my $bytes = Encode::encode('UTF-8', "$text");
    $bytes =~ s/([^\x21-\x7e])/sprintf '%%%02X', ord $1/ge;
    return $bytes;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Pattern - the path of a route

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Pattern;

    my $pattern = PAGI::Simple::Pattern->new('/users/{id:[0-9]+}/files/*path');

    my $captures = $pattern->match('/users/7/files/a/b.txt');
    print "$captures->{id} $captures->{path}\n";                       # 7 a/b.txt
    print $pattern->fill({ id => 7, path => 'a/b.txt' }), "\n";        # /users/7/files/a/b.txt

=head1 DESCRIPTION

Only a whole segment is special:

    :name, {name}     one or more characters without a slash
    {name:regex}      what the regular expression matches, which may have groups of its own
    *name             any characters, slashes and none included

All others match literally. Paths are characters.

=head1 METHODS

=head2 new

    my $pattern = PAGI::Simple::Pattern->new($path);

Croaks C<The name 'NAME' occurs twice in the path 'PATH'> and C<Cannot compile the constraint of 'NAME' in the path 'PATH': ...>.

=head2 path

The path it was made from.

=head2 is_static

1 if there is nothing to capture.

=head2 match

    my $captures = $pattern->match($path);

A hashref, empty for a static path, or undef.

=head2 fill

    my $url = $pattern->fill(\%parameters);

The path with the values in place, encoded as UTF-8 and percent-encoded (a wildcard's slashes and other URL characters stay). Removes the
parameters it used. Undef if one is missing or does not meet its constraint; a missing wildcard is empty.

=head1 FUNCTIONS

=head2 escape

    my $encoded = PAGI::Simple::Pattern::escape($characters);

Percent-encodes the UTF-8 of everything outside C<A-Z a-z 0-9 - _ . ~>.

=cut
