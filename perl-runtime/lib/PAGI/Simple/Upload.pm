package PAGI::Simple::Upload;

use strict;
use warnings;

use parent 'PAGI::Request::Upload';

use Carp qw(croak);
use File::Copy ();
use PAGI::Simple::Callback;

our @CARP_NOT = qw(PAGI::Request::Upload);

sub new {
    my ($class, %args) = @_;
    $args{field_name} = delete $args{name} if exists $args{name} && !exists $args{field_name};
    $args{temp_path} = delete $args{tempfile} if exists $args{tempfile};
    return $class->SUPER::new(%args);
}

# The toolkit's upload under the names of this framework; the object, and the file it owns, stay one.
sub from {
    my ($class, $upload) = @_;
    return bless $upload, $class;
}

sub name       { return $_[0]->field_name }
sub tempfile   { return $_[0]->temp_path }
sub filehandle { return $_[0]->fh }

sub header {
    my ($self, $name) = @_;
    return $self->content_type if lc $name eq 'content-type';
    return sprintf 'form-data; name="%s"; filename="%s"', $self->name, $self->filename if lc $name eq 'content-disposition';
    return undef;
}

sub _need_content {
    my ($self) = @_;
    croak 'The upload has no content any more' unless $self->is_in_memory || $self->is_on_disk;
    return;
}

sub slurp {
    my ($self) = @_;
    $self->_need_content;
    return $self->SUPER::slurp;
}

sub copy_to {
    my ($self, $path) = @_;
    $self->_need_content;
    if ($self->is_on_disk) {
        File::Copy::copy($self->temp_path, $path) or croak "Cannot copy to $path: $!";
        return $self;
    }
    open my $handle, '>:raw', $path or croak "Cannot open $path for writing: $!";
    (print {$handle} $self->slurp and close $handle) or croak "Cannot copy to $path: $!";
    return $self;
}

sub slurp_async   { my ($self) = @_; return PAGI::Simple::Callback::future_of(sub { $self->slurp }) }
sub move_to_async { my ($self, @to) = @_; return PAGI::Simple::Callback::future_of(sub { $self->move_to($to[-1]) }) }
sub copy_to_async { my ($self, @to) = @_; return PAGI::Simple::Callback::future_of(sub { $self->copy_to($to[-1]) }) }

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Upload - one uploaded file

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Upload;

    my $upload = PAGI::Simple::Upload->new(name => 'doc', filename => 'C:\\a.txt', data => 'hello');
    print join(' ', $upload->basename, $upload->size, $upload->slurp), "\n";    # a.txt 5 hello

=head1 DESCRIPTION

A L<PAGI::Request::Upload>, whose methods C<filename>, C<basename>, C<content_type>, C<size>, C<is_empty>, C<is_in_memory> and C<move_to> work here
too. Spooled files are removed with the object.

=head1 METHODS

=head2 new, from

C<name>, C<filename>, C<content_type>, C<data> or C<tempfile>. C<from> takes the object of the toolkit over.

=head2 name, tempfile

Field name; path of the temporary file or undef.

=head2 header

The part's C<Content-Type> or C<Content-Disposition>; undef for others.

=head2 slurp, filehandle

Bytes; a new handle. Die without content.

=head2 copy_to

    $upload->copy_to($path);

Returns the object. Croaks C<Cannot copy to PATH: REASON>.

=head2 slurp_async, move_to_async, copy_to_async

    await $upload->move_to_async($loop, $path);

The same as Futures, whose failure is the exception. The loop may be left out; the file system is used directly.

=cut
