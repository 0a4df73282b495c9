package PAGI::Headers;

use strict;
use warnings;

use Carp qw(croak);

our @CARP_NOT = qw(PAGI::Response);

# A copy, so that pushing on @{$headers} cannot bypass set/add.
use overload
    '@{}'    => sub { $_[0]->to_pairs },
    fallback => 1;

# RFC 9110 7.6.1 fields that describe one connection, not the message.
my %HOP_BY_HOP = map { $_ => 1 } qw(
    connection keep-alive proxy-authenticate proxy-authorization
    te trailer transfer-encoding upgrade
);

# Field names are ASCII tokens: lc() would fold Latin-1 or Unicode letters too.
sub _fold { $_[0] =~ tr/A-Z/a-z/r }

sub _name {
    my ($name) = @_;
    croak 'header name required' unless defined $name;
    return _fold($name);
}

sub _values {
    for my $value (@_) {
        croak 'header value must be defined' unless defined $value;
    }
    return @_;
}

sub new {
    my ($class, $pairs) = @_;
    croak 'PAGI::Headers->new expects an arrayref of [name, value] pairs'
        if defined $pairs && !(ref $pairs eq 'ARRAY' || eval { $pairs->isa(__PACKAGE__) });
    return bless { pairs => [ map { [ $_->[0], $_->[1] ] } $pairs ? @$pairs : () ] }, $class;
}

sub get {
    my ($self, $name) = @_;
    my $wanted = _name($name);
    for my $pair (reverse @{ $self->{pairs} }) {
        return $pair->[1] if _fold($pair->[0]) eq $wanted;
    }
    return undef;
}

sub get_all {
    my ($self, $name) = @_;
    my $wanted = _name($name);
    return map { $_->[1] } grep { _fold($_->[0]) eq $wanted } @{ $self->{pairs} };
}

sub has {
    my ($self, $name) = @_;
    return 0 unless defined $name && length $name;
    my $wanted = _fold($name);
    for my $pair (@{ $self->{pairs} }) {
        return 1 if _fold($pair->[0]) eq $wanted;
    }
    return 0;
}

sub names {
    my ($self) = @_;
    my %seen;
    return grep { !$seen{ _fold($_) }++ } map { $_->[0] } @{ $self->{pairs} };
}

sub count { scalar @{ $_[0]{pairs} } }

sub is_empty { @{ $_[0]{pairs} } ? 0 : 1 }

sub set {
    my ($self, $name, @values) = @_;
    my $wanted = _name($name);
    _values(@values);
    $self->{pairs} = [
        (grep { _fold($_->[0]) ne $wanted } @{ $self->{pairs} }),
        map { [ $name, $_ ] } @values,
    ];
    return $self;
}

sub add {
    my ($self, $name, @values) = @_;
    _name($name);
    _values(@values);
    push @{ $self->{pairs} }, map { [ $name, $_ ] } @values;
    return $self;
}

sub set_default {
    my ($self, $name, $value) = @_;
    _name($name);
    _values($value);
    push @{ $self->{pairs} }, [ $name, $value ] unless $self->has($name);
    return $self;
}

sub remove {
    my ($self, $name) = @_;
    my $wanted = _name($name);
    my (@kept, @removed);
    push @{ _fold($_->[0]) eq $wanted ? \@removed : \@kept }, $_ for @{ $self->{pairs} };
    $self->{pairs} = \@kept;
    return map { $_->[1] } @removed;
}

sub clear {
    my ($self) = @_;
    $self->{pairs} = [];
    return $self;
}

sub remove_content_headers {
    my ($self) = @_;
    my (@kept, @removed);
    push @{ _fold($_->[0]) =~ /\Acontent-/ ? \@removed : \@kept }, $_ for @{ $self->{pairs} };
    $self->{pairs} = \@kept;
    return ref($self)->new(\@removed);
}

sub dehop {
    my ($self) = @_;
    my %drop = %HOP_BY_HOP;
    for my $list ($self->get_all('connection')) {
        for my $field (split /,/, $list) {
            $field =~ s/\A[ \t]+|[ \t]+\z//g;
            $drop{ _fold($field) } = 1;
        }
    }
    $self->{pairs} = [ grep { !$drop{ _fold($_->[0]) } } @{ $self->{pairs} } ];
    return $self;
}

sub clone { ref($_[0])->new($_[0]{pairs}) }

sub to_pairs { [ map { [ @$_ ] } @{ $_[0]{pairs} } ] }

sub flatten { map { @$_ } @{ $_[0]{pairs} } }

sub to_hash {
    my ($self, $multi) = @_;
    my (%spelling, %hash);
    for my $pair (@{ $self->{pairs} }) {
        my $key = $spelling{ _fold($pair->[0]) } //= $pair->[0];
        if ($multi) { push @{ $hash{$key} }, $pair->[1] }
        else        { $hash{$key} = $pair->[1] }
    }
    return \%hash;
}

sub to_string {
    my ($self) = @_;
    return join '', map { "$_->[0]: $_->[1]\r\n" } @{ $self->{pairs} };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Headers - ordered, case-insensitive list of header fields

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Headers;

    my $headers = PAGI::Headers->new([ [ 'Content-Type', 'text/plain' ] ]);

    $headers->add('Set-Cookie', 'a=1', 'b=2')
            ->set('Cache-Control', 'no-store')
            ->set_default('X-Request-Id', '42');

    print $headers->get('content-type'), "\n";                 # text/plain
    print join(' ', $headers->get_all('set-cookie')), "\n";    # a=1 b=2

    my $event = {
        type    => 'http.response.start',
        status  => 200,
        headers => $headers->to_pairs,
    };

=head1 DESCRIPTION

A list of C<[name, value]> pairs that keeps insertion order, original spelling and duplicates. Names are compared by ASCII
case folding only. Values are opaque bytes: nothing is trimmed, joined, escaped or checked, because keeping CR, LF and NUL
off the wire is the server's duty (it fails the send).

C<@{$headers}> yields a copy of the pairs, so code that expects a plain arrayref can iterate over the object; pushing on
that copy changes nothing. An object is always true, even when it holds no field.

=head1 METHODS

Names and values are byte strings. Methods that say "returns the object" can be chained.

=head2 new

    my $headers = PAGI::Headers->new(\@pairs);

C<\@pairs> is optional and is copied together with its pairs. Another PAGI::Headers is accepted as well. Anything else that is
defined dies with C<PAGI::Headers-E<gt>new expects an arrayref of [name, value] pairs>. Values are not checked here.

=head2 get

    my $value = $headers->get($name);

The last value stored under C<$name>, or undef. An undefined name dies with C<header name required>.

=head2 get_all

    my @values = $headers->get_all($name);

All values in order, as a list; the same check of the name.

=head2 has

    my $bool = $headers->has($name);

1 or 0. An undefined or empty name gives 0.

=head2 names

    my @names = $headers->names;

Each distinct name once, in the spelling seen first and in insertion order.

=head2 count

The number of pairs, duplicates included.

=head2 is_empty

1 when there is no pair, else 0.

=head2 set

    $headers->set($name, @values);

Removes every field of that name and appends C<@values> at the end; without values it only removes. Returns the object. An
undefined value dies with C<header value must be defined> and nothing is changed.

=head2 add

    $headers->add($name, @values);

Appends one pair per value. Returns the object. Undefined values die as in L</set>.

=head2 set_default

    $headers->set_default($name, $value);

Appends the pair only if the name is absent. Returns the object. An undefined value dies as in L</set>.

=head2 remove

    my @values = $headers->remove($name);

Removes every field of that name and returns the removed values as a list.

=head2 clear

Removes everything. Returns the object.

=head2 remove_content_headers

    my $content = $headers->remove_content_headers;

Removes every field whose name begins with C<content-> and returns them as a new PAGI::Headers.

=head2 dehop

Removes the fields that belong to one connection: C<connection>, C<keep-alive>, C<proxy-authenticate>,
C<proxy-authorization>, C<te>, C<trailer>, C<transfer-encoding>, C<upgrade> and every field named in a C<Connection> field
(RFC 9110 7.6.1). Returns the object.

=head2 clone

An independent copy.

=head2 to_pairs

A fresh arrayref of fresh C<[name, value]> pairs: the form that belongs in events.

=head2 flatten

A flat list of name, value, name, value.

=head2 to_hash

    my $last = $headers->to_hash;        # { Name => last value }
    my $all  = $headers->to_hash(1);     # { Name => [ all values ] }

Grouped case-insensitively under the spelling seen first.

=head2 to_string

C<Name: value> lines, each ended by CR LF. For inspection only: nothing is sanitised.

=head1 SEE ALSO

L<PAGI::Request>, L<PAGI::Response>

=cut
