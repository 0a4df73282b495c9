package PAGI::Middleware::Support::Paths;

use strict;
use warnings;

use Carp qw(croak);

sub exact    { my ($class, $who, $list) = @_; return $class->_new($who, $list, 0) }
sub prefixes { my ($class, $who, $list) = @_; return $class->_new($who, $list, 1) }

sub _new {
    my ($class, $who, $list, $by_prefix) = @_;
    croak "$who must be an arrayref of strings or qr// patterns"
        if ref $list ne 'ARRAY' || grep { !defined || (ref && ref ne 'Regexp') } @$list;
    my @patterns = grep { ref } @$list;
    my @strings  = grep { !ref } @$list;
    return bless {
        patterns => \@patterns,
        prefixes => $by_prefix ? \@strings : [],
        exact    => $by_prefix ? {} : { map { $_ => 1 } @strings },
    }, $class;
}

sub contains {
    my ($self, $path) = @_;
    $path //= '';
    return 1 if $self->{exact}{$path};
    for my $prefix (@{ $self->{prefixes} }) {
        return 1 if index($path, $prefix) == 0;
    }
    for my $pattern (@{ $self->{patterns} }) {
        return 1 if $path =~ $pattern;
    }
    return 0;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Support::Paths - a set of path strings and patterns

=head1 SYNOPSIS

    use PAGI::Middleware::Support::Paths;

    my $open = PAGI::Middleware::Support::Paths->exact("My 'open'", [ '/login', qr{^/assets/} ]);
    print "open\n" if $open->contains('/assets/a.css');

=head1 METHODS

=head2 exact($who, \@list), prefixes($who, \@list)

Constructors. Strings in the list match the whole path, or its beginning (C</admin> then covers
C</administrator> too); C<qr//> patterns match as they are. Anything else croaks with a
message that begins with C<$who>.

=head2 contains($path)

1 or 0. The path is the decoded path of the scope (characters).

=cut
