package PAGI::Request::Upload;

use strict;
use warnings;

use Carp qw(croak);
use File::Basename qw(dirname);
use File::Copy ();
use File::Path qw(make_path);

sub new {
    my ($class, %args) = @_;
    croak 'field_name is required' unless defined $args{field_name};

    my ($data, $temp_path, $size) = @args{qw(data temp_path size)};
    if (!defined $size) {
        $size = defined $data ? length $data : defined $temp_path ? -s $temp_path : 0;
    }
    return bless {
        field_name   => $args{field_name},
        filename     => defined $args{filename} ? $args{filename} : '',
        content_type => defined $args{content_type} ? $args{content_type} : 'application/octet-stream',
        data         => $data,
        temp_path    => $temp_path,
        size         => $size || 0,
        owner        => $$,
    }, $class;
}

sub field_name   { $_[0]{field_name} }
sub filename     { $_[0]{filename} }
sub content_type { $_[0]{content_type} }
sub size         { $_[0]{size} }
sub temp_path    { $_[0]{temp_path} }

sub is_empty     { $_[0]{size} == 0           ? 1 : 0 }
sub is_in_memory { defined $_[0]{data}        ? 1 : 0 }
sub is_on_disk   { defined $_[0]{temp_path}   ? 1 : 0 }

# Some browsers send the whole client-side path, with either separator.
sub basename {
    my ($self) = @_;
    return $self->{filename} =~ m{([^/\\]*)\z} ? $1 : '';
}

sub slurp {
    my ($self) = @_;
    return $self->{data} if defined $self->{data};
    my $path = $self->{temp_path};
    return '' unless defined $path;
    open my $fh, '<:raw', $path or croak "Cannot read $path: $!";
    my $bytes = do { local $/; <$fh> };
    return defined $bytes ? $bytes : '';
}

sub fh {
    my ($self) = @_;
    if (defined $self->{data}) {
        open my $fh, '<:raw', \$self->{data} or croak "Cannot create filehandle from memory: $!";
        return $fh;
    }
    my $path = $self->{temp_path};
    croak 'No content available' unless defined $path;
    open my $fh, '<:raw', $path or croak "Cannot open $path: $!";
    return $fh;
}

sub move_to {
    my ($self, $destination) = @_;
    croak 'No content to move' unless defined $self->{data} || defined $self->{temp_path};

    my $directory = dirname($destination);
    if (!-d $directory) {
        make_path($directory, { error => \my $errors });
        croak "Cannot move to $destination: " . join '; ', map { values %$_ } @$errors if @$errors;
    }

    if (defined $self->{data}) {
        open my $fh, '>:raw', $destination or croak "Cannot open $destination for writing: $!";
        (print {$fh} $self->{data} and close $fh) or croak "Cannot move to $destination: $!";
        $self->{data} = undef;
    }
    else {
        File::Copy::move($self->{temp_path}, $destination) or croak "Cannot move to $destination: $!";
        $self->{temp_path} = undef;
    }
    return $self;
}

sub discard {
    my ($self) = @_;
    my $path = delete $self->{temp_path};
    # a forked child shares the path but not the ownership of the file
    unlink $path if defined $path && $self->{owner} == $$;
    $self->{data} = undef;
    return;
}

sub DESTROY {
    my ($self) = @_;
    local ($@, $!, $?);
    $self->discard;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::Upload - one uploaded file

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Request;
    use PAGI::Response;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        die "Unsupported scope type: $scope->{type}" unless $scope->{type} eq 'http';

        my $request = PAGI::Request->new($scope, $receive);
        my $upload  = await $request->upload('avatar', max_file_size => 2 * 1024 * 1024);

        my $response = $upload && !$upload->is_empty
            ? PAGI::Response->json({ name => $upload->basename, size => $upload->size })
            : PAGI::Response->text("Please choose a file\n", status => 400);
        await $response->respond($send);
    };

=head1 DESCRIPTION

A file part of a buffered multipart form: small ones live in memory, larger ones in a temporary file that belongs to the
object and is removed with it. All methods return at once; those that touch the file block.

=head1 METHODS

=head2 new

    my $upload = PAGI::Request::Upload->new(field_name => 'avatar', data => $bytes);

C<field_name> is required (C<field_name is required>). Optional: C<filename> (default C<''>), C<content_type> (default
C<application/octet-stream>), either C<data> (bytes) or C<temp_path>, and C<size> in bytes, which defaults to the length of
the data, else the size of the file, else 0.

=head2 field_name

Name of the form field (characters when the object comes from L<PAGI::Request>).

=head2 filename

The name the client sent, possibly a whole path: never use it as a path. C<''> if none.

=head2 basename

C<filename> after the last C</> or C<\>.

=head2 content_type

What the client claims.

=head2 size

Bytes. Keeps its value after L</move_to>.

=head2 temp_path

Path of the temporary file, or undef.

=head2 is_empty

1 if the size is 0.

=head2 is_in_memory

1 while the content is held in memory.

=head2 is_on_disk

1 while the content is in a temporary file.

=head2 slurp

    my $bytes = $upload->slurp;

The content, C<''> if there is none. Dies with C<Cannot read PATH: REASON>.

=head2 fh

    my $fh = $upload->fh;

A fresh handle for reading bytes. Dies with C<Cannot open PATH: REASON>, C<Cannot create filehandle from memory: REASON> or
C<No content available>.

=head2 move_to

    $upload->move_to('/srv/files/42.png');

Creates the directory if needed, puts the content there (replacing an existing file) and forgets it. Returns the object. Dies
with C<Cannot open DEST for writing: REASON>, C<Cannot move to DEST: REASON> or C<No content to move>.

=head2 discard

Removes the temporary file and drops the data; may be called again. Runs by itself when the object goes away.

=head1 SEE ALSO

L<PAGI::Request>, L<PAGI::Request::MultiPartHandler>

=cut
