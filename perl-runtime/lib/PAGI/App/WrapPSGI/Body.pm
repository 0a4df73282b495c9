package PAGI::App::WrapPSGI::Body;

use strict;
use warnings;

use Carp qw(croak);
use File::Spec;
use IO::Handle ();
use Scalar::Util qw(blessed openhandle);

my $CHUNK = 65_536;    # bytes

sub new {
    my ($class, $body) = @_;
    croak 'The body of a PSGI response must be an arrayref, a handle, a coderef or an object with getline, not ' . ref $body
        unless ref $body eq 'CODE' || openhandle($body) || (blessed $body && ($body->can('getline') || $body->can('path')));
    return bless { body => $body }, $class;
}

# The one event for a body that the server can read itself: real files, from where they stand, and files with a name.
sub event {
    my ($self) = @_;
    my $body = $self->{body};
    return undef if ref $body eq 'CODE';
    if (_is_plain_handle($body) && (eval { fileno $body } // -1) >= 0 && -f $body) {
        return { type => 'http.response.body', fh => $body };
    }
    if (blessed $body && $body->can('path') && defined(my $path = $body->path)) {
        my $file = File::Spec->rel2abs("$path");
        return { type => 'http.response.body', file => $file } if -f $file && -r _;
    }
    return undef;
}

# A class of its own may make other bytes of what is in the file.
sub _is_plain_handle {
    my ($body) = @_;
    return 0 unless openhandle($body);
    return 1 if !blessed $body;
    return $body->isa('IO::Handle') && $body->can('getline') == IO::Handle->can('getline');
}

sub next_chunk {
    my ($self) = @_;
    my $body = $self->{body};
    return $body->() if ref $body eq 'CODE';
    # A reference to a number: read that many bytes (PSGI, "IO::Handle-like object").
    local $/ = \$CHUNK;
    return blessed $body && $body->can('getline') ? scalar $body->getline : scalar readline $body;
}

sub close {
    my ($self) = @_;
    my $body = delete $self->{body};
    if    (blessed $body && $body->can('close')) { $body->close }
    elsif (openhandle($body))                    { CORE::close $body }
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapPSGI::Body - the body of a PSGI response that is no array

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::WrapPSGI::Body;

    open my $handle, '<', \"one\ntwo\n" or die;
    my $body = PAGI::App::WrapPSGI::Body->new($handle);
    print $body->next_chunk;
    $body->close;

=head1 METHODS

=head2 new($body)

A handle, an object with C<getline> or C<path>, or a coderef that returns chunks until undef; croaks for others.

=head2 event

The C<http.response.body> event that lets the server read the file itself, or undef where that cannot be.

=head2 next_chunk

The next bytes, or undef at the end.

=head2 close

Closes the handle or object.

=cut
