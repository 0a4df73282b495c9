package PAGI::App::WrapCGI::Head;

use strict;
use warnings;

my $LIMIT = 65_536;    # bytes

sub new {
    my ($class) = @_;
    return bless { bytes => '', status => undef, headers => [], complete => 0, rest => '' }, $class;
}

sub is_complete { $_[0]{complete} }
sub headers     { $_[0]{headers} }
sub rest        { $_[0]{rest} }

sub status {
    my ($self) = @_;
    # RFC 3875 6.2.3: a location without a status is a redirect.
    return $self->{status} // ((grep { $_->[0] eq 'location' } @{ $self->{headers} }) ? 302 : 200);
}

# Undef, or what is wrong.
sub add {
    my ($self, $bytes) = @_;
    $self->{bytes} .= $bytes;
    if ($self->{bytes} !~ /\r?\n\r?\n|\A\r?\n/) {
        return length $self->{bytes} > $LIMIT ? "no end of the header in $LIMIT bytes" : undef;
    }
    my $block = substr $self->{bytes}, 0, $-[0];
    $self->{rest} = substr $self->{bytes}, $+[0];
    $self->{bytes} = '';
    return 'an empty header' unless length $block;
    for my $line (split /\r?\n/, $block) {
        my ($name, $value) = $line =~ /\A([!#\$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*\z/s;
        return "'$line' in place of a header line" unless defined $name;
        if (lc $name eq 'status') {
            my ($status) = $value =~ /\A([2-5][0-9][0-9])(?:\s|\z)/;
            return "Status '$value'" unless defined $status;
            $self->{status} = $status;
            next;
        }
        push @{ $self->{headers} }, [lc $name, $value];
    }
    $self->{complete} = 1;
    return undef;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapCGI::Head - the header block of a CGI response

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::WrapCGI::Head;

    my $head = PAGI::App::WrapCGI::Head->new;
    $head->add("Status: 404 Gone\nContent-Type: text/plain\n\nNothing");
    print $head->status, ' ', $head->rest, "\n";    # 404 Nothing

=head1 METHODS

=head2 new

An empty one.

=head2 add($bytes)

Takes further output. Returns undef, or in words what is wrong with it.

=head2 is_complete

Whether the blank line was there.

=head2 status, headers, rest

Number, arrayref of C<[name, value]> pairs with names in lower case, and the bytes behind the blank line.

=cut
