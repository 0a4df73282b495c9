package PAGI::App::Support::Spool;

use strict;
use warnings;

use Future::AsyncAwait;

my $IN_MEMORY = 65_536;    # bytes; beyond this a temporary file

sub new {
    my ($class, %args) = @_;
    return bless { in_memory => $args{in_memory} // $IN_MEMORY, bytes => '', file => undef, length => 0 }, $class;
}

sub length { $_[0]{length} }

# True when the body was read to its end, false when the client went away before.
async sub fill {
    my ($self, $receive, $next) = @_;
    while (1) {
        my $event = await($next || $receive->());
        undef $next;
        return 0 if $event->{type} eq 'http.disconnect';
        return 1 if $event->{type} ne 'http.request';
        $self->_add($event->{body}) if defined $event->{body};
        return 1 unless $event->{more};
    }
}

sub _add {
    my ($self, $bytes) = @_;
    $self->{length} += CORE::length $bytes;
    if (!$self->{file}) {
        $self->{bytes} .= $bytes;
        $self->_to_file if $self->{length} > $self->{in_memory};
        return;
    }
    print { $self->{file} } $bytes or die "Cannot write the request body to a temporary file: $!\n";
    return;
}

sub _to_file {
    my ($self) = @_;
    # Without a name as soon as it is open: nothing is left behind, whatever happens to the process.
    open my $file, '+>', undef or die "Cannot make a temporary file for the request body: $!\n";
    $self->{file} = $file;
    binmode $file;
    print {$file} $self->{bytes} or die "Cannot write the request body to a temporary file: $!\n";
    $self->{bytes} = '';
    return;
}

# A seekable handle at the beginning of the body.
sub handle {
    my ($self) = @_;
    if ($self->{file}) {
        seek $self->{file}, 0, 0 or die "Cannot read the request body from its temporary file: $!\n";
        return $self->{file};
    }
    open my $handle, '<', \$self->{bytes} or die "Cannot open a handle in memory: $!\n";
    return $handle;
}

# The same with a descriptor, for another process.
sub file_handle {
    my ($self) = @_;
    $self->_to_file unless $self->{file};
    my $handle = $self->handle;
    return $handle;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Support::Spool - a request body, in memory or in a temporary file

=head1 SYNOPSIS

    use Future::AsyncAwait;
    use PAGI::App::Support::Spool;

    my $spool = PAGI::App::Support::Spool->new;
    await $spool->fill($receive) or return;
    my $input = $spool->handle;
    print $spool->length, " bytes\n";

=head1 METHODS

=head2 new

C<in_memory> is the number of bytes kept in memory, default 65536; a longer body is in a temporary file without a name.

=head2 fill($receive, $first)

Reads the C<http.request> events; C<$first> is the Future of the first one if that was asked for already. A Future of 1, or of 0 when the client went away before the end. It fails when the temporary file
cannot be written.

=head2 length

Bytes of the body.

=head2 handle

A seekable handle at the beginning of the body.

=head2 file_handle

The same, always a real file.

=cut
