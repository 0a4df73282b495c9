package PAGI::Simple::CookieUtil;

use strict;
use warnings;

use Carp qw(croak);
use Encode ();
use HTTP::Date ();
use PAGI::Simple::Pattern;

our @CARP_NOT = qw(PAGI::Simple::Context::Response);

my %SAMESITE = (strict => 'Strict', lax => 'Lax', none => 'None');
my %OPTION = map { $_ => 1 } qw(expires max_age domain path secure httponly samesite);

sub parse_cookie_header {
    my ($header) = @_;
    my %cookies;
    for my $pair (split /;/, defined $header ? $header : '') {
        my ($name, $value) = split /=/, $pair, 2;
        next unless defined $value;
        s/\A\s+|\s+\z//g for $name, $value;
        next if !length $name || exists $cookies{$name};
        $value = $1 if $value =~ /\A"(.*)"\z/s;
        $value =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
        $cookies{$name} = Encode::decode('UTF-8', $value, Encode::FB_DEFAULT);
    }
    return \%cookies;
}

sub format_set_cookie {
    my ($name, $value, %options) = @_;
    croak 'A cookie needs a name without blanks, separators and control characters'
        unless defined $name && $name =~ /\A[A-Za-z0-9!#\$%&'*+.^_`|~-]+\z/;
    my @unknown = grep { !$OPTION{$_} } sort keys %options;
    croak 'Unknown cookie options: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %OPTION) if @unknown;

    my $cookie = "$name=" . PAGI::Simple::Pattern::escape(defined $value ? $value : '');
    $cookie .= '; Path=' . _attribute(path => defined $options{path} ? $options{path} : '/');
    $cookie .= '; Domain=' . _attribute(domain => $options{domain}) if defined $options{domain} && length $options{domain};
    if (defined $options{expires}) {
        croak "The cookie option 'expires' takes epoch seconds, not '$options{expires}'" unless $options{expires} =~ /\A-?[0-9]+(?:\.[0-9]+)?\z/;
        $cookie .= '; Expires=' . HTTP::Date::time2str($options{expires});
    }
    if (defined $options{max_age}) {
        croak "The cookie option 'max_age' takes seconds, not '$options{max_age}'" unless $options{max_age} =~ /\A-?[0-9]+\z/;
        $cookie .= "; Max-Age=$options{max_age}";
    }
    $cookie .= '; Secure'   if $options{secure};
    $cookie .= '; HttpOnly' if $options{httponly};
    if (defined $options{samesite}) {
        my $samesite = $SAMESITE{ lc $options{samesite} }
            or croak "The cookie option 'samesite' is Strict, Lax or None, not '$options{samesite}'";
        $cookie .= "; SameSite=$samesite";
    }
    return $cookie;
}

sub format_removal_cookie {
    my ($name, %options) = @_;
    delete $options{max_age};
    return format_set_cookie($name, '', %options, expires => 0);
}

sub _attribute {
    my ($name, $value) = @_;
    croak "The cookie option '$name' must not contain ';' or control characters" if $value =~ /[;\x00-\x1f\x7f]/;
    return $value;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::CookieUtil - reading and writing cookies

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::CookieUtil;

    my $cookies = PAGI::Simple::CookieUtil::parse_cookie_header('theme=dark; name=J%C3%BCrgen');
    print $cookies->{theme}, "\n";    # dark

    print PAGI::Simple::CookieUtil::format_set_cookie(theme => 'light', max_age => 3600, samesite => 'Lax'), "\n";

=head1 FUNCTIONS

=head2 parse_cookie_header

A hashref of characters from the bytes of a Cookie header: percent-decoded, read as UTF-8, quotes removed. The first of repeated names wins;
a name without C<=> is ignored.

=head2 format_set_cookie

    my $line = PAGI::Simple::CookieUtil::format_set_cookie($name, $characters, %options);

The value is percent-encoded. Options: C<expires> (epoch seconds), C<max_age> (seconds), C<domain>, C<path> (default C</>), C<secure>, C<httponly>,
C<samesite> (C<Strict>, C<Lax>, C<None>). Croaks on a name, an option or a value that cannot be right.

=head2 format_removal_cookie

An empty value that expired in 1970. Give the C<path> and C<domain> the cookie was set with.

=cut
