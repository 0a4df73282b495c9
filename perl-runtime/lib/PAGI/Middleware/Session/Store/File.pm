package PAGI::Middleware::Session::Store::File;

use strict;
use warnings;
use parent 'PAGI::Middleware::Session::Store';

use Carp qw(croak);
use Digest::SHA qw(sha256_hex);
use File::Path qw(make_path);
use File::Spec;
use File::Temp ();
use Future;
use JSON::MaybeXS ();

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);
my $NAME = qr/\A[0-9a-f]{64}\.json\z/;

sub new {
    my ($class, %options) = @_;
    croak "Store::File requires 'dir' option" unless defined $options{dir} && length $options{dir};
    my $self = $class->SUPER::new(%options);
    $self->{dir} = File::Spec->rel2abs($self->{dir});
    make_path($self->{dir}, { mode => oct 700, error => \my $errors });
    croak "Store::File cannot create '$self->{dir}': " . join ', ', map { values %$_ } @$errors
        if @$errors;
    croak "Store::File 'dir' must be a writable directory, '$self->{dir}' is not"
        unless -d $self->{dir} && -w _;
    return $self;
}

sub get {
    my ($self, $id) = @_;
    return Future->done(undef) unless defined $id;
    open my $file, '<:raw', $self->_path($id) or return Future->done(undef);
    my $text = do { local $/; <$file> };
    my $session = eval { $JSON->decode($text // '') };
    return Future->done(ref $session eq 'HASH' ? $session : undef);
}

# Written beside and renamed over: another worker reads the old session or the new
# one, never half of it, also when this process dies in between.
sub set {
    my ($self, $id, $data) = @_;
    my $written = eval {
        my $text = $JSON->encode($data);
        my $file = File::Temp->new(DIR => $self->{dir}, TEMPLATE => 'new-XXXXXXXX');    # mode 0600
        binmode $file;
        print {$file} $text or die "$!\n";
        close $file or die "$!\n";
        rename $file->filename, $self->_path($id) or die "$!\n";
        $file->unlink_on_destroy(0);
        1;
    };
    return Future->fail("Store::File cannot save a session in '$self->{dir}': $@", 'session')
        unless $written;
    return Future->done($id);
}

sub delete {
    my ($self, $id) = @_;
    unlink $self->_path($id) if defined $id;
    return Future->done(1);
}

sub prune {
    my ($self, $max_idle) = @_;
    opendir my $dir, $self->{dir} or croak "Store::File cannot read '$self->{dir}': $!";
    my $removed = 0;
    for my $name (readdir $dir) {
        # Left-overs of a process that died while writing go with the old sessions.
        next unless $name =~ $NAME || $name =~ /\Anew-\w{8}\z/;
        my $path = File::Spec->catfile($self->{dir}, $name);
        my $changed = (stat $path)[9] // next;
        next unless time - $changed > $max_idle;
        $removed++ if unlink $path;
    }
    return $removed;
}

# The id comes from the client: hashed, it can neither climb out of the directory
# nor be read back from a directory listing.
sub _path {
    my ($self, $id) = @_;
    utf8::encode($id) if $id =~ /[^\x00-\xff]/;
    return File::Spec->catfile($self->{dir}, sha256_hex($id) . '.json');
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Session::Store::File - sessions as files, shared by the workers of one machine

=head1 SYNOPSIS

    use PAGI::Middleware::Session;
    use PAGI::Middleware::Session::Store::File;

    my $store   = PAGI::Middleware::Session::Store::File->new(dir => 'var/sessions');
    my $session = PAGI::Middleware::Session->new(secret => 'a long random string', store => $store);

    my $removed = $store->prune(7 * 86400);    # from a timer or a nightly job

=head1 DESCRIPTION

One JSON file per session, named after a hash of its id and readable by the owner only. All workers of
a machine share them, and they survive a restart. A file is replaced in one step (C<rename>), so readers
never see half a session. Two requests of the same visitor at the same time both save; the last one wins.

Reading and writing block the worker for the moment a small file takes. Put the directory on a local
disk or in F</run> (tmpfs).

=head1 OPTIONS

=over 4

=item dir

Required. Directory, created with mode 0700 if missing.

=back

=head1 METHODS

=head2 get($id)

The session, or undef if there is none or the file is not readable JSON.

=head2 set($id, $data)

Resolves to C<$id>; fails with C<Store::File cannot save a session in 'DIR': REASON>.

=head2 delete($id)

Resolves to 1.

=head2 prune($max_idle)

Removes the files of sessions not saved for C<$max_idle> seconds (a session in use is saved at least every sixtieth of its C<expire>) and
returns their number. Nothing is removed unless you call this.

=head1 ERRORS

The constructor croaks C<Store::File requires 'dir' option>, C<Store::File cannot create 'DIR': REASON> or
C<Store::File 'dir' must be a writable directory, 'DIR' is not>.

=cut
