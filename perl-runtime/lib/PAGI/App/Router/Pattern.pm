package PAGI::App::Router::Pattern;

use strict;
use warnings;

use Carp qw(croak);
use Encode ();

our @CARP_NOT = qw(PAGI::App::Router PAGI::App::Router::Route);

sub new {
    my ($class, $path) = @_;
    croak 'A route needs a path' if !defined $path || ref $path;
    my $self = bless { path => $path, names => [], constraints => [], parts => [] }, $class;
    $self->_parse;
    return $self;
}

sub path        { $_[0]{path} }
sub names       { $_[0]{names} }
sub constraints { $_[0]{constraints} }
sub is_literal  { !@{ $_[0]{names} } }

# The captured values by name, or undef. Constraints are the route's business.
sub match {
    my ($self, $path) = @_;
    my $regex = $self->{regex} ||= $self->_regex('\z');
    return $path eq $self->{path} ? {} : undef unless @{ $self->{names} };
    my @values = $path =~ $regex or return undef;
    my %params;
    @params{ @{ $self->{names} } } = @values;
    return \%params;
}

# For mounts: the matched beginning of the path, which ends at a slash or at the end, and the captured values.
sub match_prefix {
    my ($self, $path) = @_;
    my $regex = $self->{prefix_regex} ||= $self->_regex('(?=/|\z)');
    my @values = $path =~ $regex or return;
    my %params;
    @params{ @{ $self->{names} } } = @values if @{ $self->{names} };
    return (substr($path, 0, $+[0]), \%params);
}

sub uri {
    my ($self, $route, $values) = @_;
    my $uri = '';
    for my $part (@{ $self->{parts} }) {
        my ($kind, $text) = @$part;
        if ($kind ne 'literal') {
            croak "Missing required path parameter '$text' for route '$route'" unless defined $values->{$text};
            $text = $values->{$text};
        }
        $uri .= _encode($text, $kind ne 'segment');
    }
    return $uri;
}

sub _encode {
    my ($text, $keep_slash) = @_;
    my $bytes = Encode::encode('UTF-8', "$text");
    # RFC 3986 section 3.3: unreserved, sub-delims, ':' and '@' may stand in a path segment as they are.
    $bytes =~ s{([^A-Za-z0-9\-._~!\$&'()*+,;=:\@/])}{sprintf '%%%02X', ord $1}ge;
    $bytes =~ s{/}{%2F}g unless $keep_slash;
    return $bytes;
}

my %CAPTURE = (segment => '([^/]+)', wildcard => '(.+)');

sub _regex {
    my ($self, $end) = @_;
    my $regex = join '', map { $CAPTURE{ $_->[0] } // quotemeta $_->[1] } @{ $self->{parts} };
    return qr/\A$regex$end/s;
}

sub _parse {
    my ($self) = @_;
    my $rest = $self->{path};
    my $literal = '';
    while (length $rest) {
        my ($kind, $name, $constraint);
        if    ($rest =~ s/\A:(\w+)//)        { ($kind, $name) = (segment  => $1) }
        elsif ($rest =~ s/\A\*(\w+)//)       { ($kind, $name) = (wildcard => $1) }
        elsif ($rest =~ s/\A\{(\w+)\}//)     { ($kind, $name) = (segment  => $1) }
        elsif ($rest =~ /\A\{(\w+):/ && defined(my $length = _closing_brace($rest))) {
            ($kind, $name) = (segment => $1);
            $constraint = substr $rest, length($name) + 2, $length - length($name) - 2;
            substr $rest, 0, $length + 1, '';
        }
        else {
            $literal .= substr $rest, 0, 1, '';
            next;
        }
        push @{ $self->{parts} }, [literal => $literal] if length $literal;
        $literal = '';
        push @{ $self->{parts} }, [$kind, $name];
        push @{ $self->{names} }, $name;
        push @{ $self->{constraints} }, [$name, $self->_constraint($name, $constraint)] if defined $constraint;
    }
    push @{ $self->{parts} }, [literal => $literal] if length $literal;
    return;
}

sub _constraint {
    my ($self, $name, $source) = @_;
    my $regex = eval { qr/$source/ };
    croak "The constraint of '$name' in route $self->{path} is no regular expression: $@" unless $regex;
    return $regex;
}

# Where the brace that opens the text is closed; a backslash takes the meaning from the brace behind it.
sub _closing_brace {
    my ($text) = @_;
    my $depth = 0;
    while ($text =~ /\\.|([{}])/gs) {
        next unless defined $1;
        $depth += $1 eq '{' ? 1 : -1;
        return pos($text) - 1 if $depth == 0;
    }
    return undef;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Router::Pattern - a path with parameters

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Router::Pattern;

    my $pattern = PAGI::App::Router::Pattern->new('/users/:id/files/*rest');
    my $params  = $pattern->match('/users/42/files/a/b.txt');
    print "$params->{id}: $params->{rest}\n";                              # 42: a/b.txt
    print $pattern->uri('file', { id => 7, rest => 'c d' }), "\n";         # /users/7/files/c%20d

=head1 DESCRIPTION

C<:name> and C<{name}> match one or more characters that are no slash, C<{name:regex}> too, and names a constraint for
the value; C<*name> matches one or more characters of any kind. Everything else is literal. Paths are characters.

=head1 METHODS

=head2 new

    my $pattern = PAGI::App::Router::Pattern->new($path);

Croaks C<A route needs a path>, or C<The constraint of 'NAME' in route PATH is no regular expression: ERROR>.

=head2 match

A hashref of the values if the whole path matches, else undef. Of parameters with the same name the last one counts.
Constraints are not looked at.

=head2 match_prefix

The matched beginning of the path, up to a slash or the end, and a hashref of the values; an empty list if there is none.

=head2 uri

    my $path = $pattern->uri($route_name, \%values);

The path with the values in it, percent-encoded as UTF-8; slashes are kept in C<*name> values only. Croaks
C<Missing required path parameter 'P' for route 'N'>.

=head2 path, names, constraints, is_literal

The path as given; the arrayref of parameter names; the arrayref of C<[name, regex]> pairs written in the path; whether there
are no parameters at all.

=cut
