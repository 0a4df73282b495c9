package PAGITest::Modules;

# The files of the library, for tests that look at all of them.

use strict;
use warnings;

use Exporter qw(import);
use File::Find ();

our @EXPORT_OK = qw(documented_files module_files);

sub module_files     { return _files(qr/\.pm\z/) }
sub documented_files { return _files(qr/\.(?:pm|pod)\z/) }

sub _files {
    my ($pattern) = @_;
    my @files;
    File::Find::find({ no_chdir => 1, wanted => sub { push @files, $_ if -f && /$pattern/ } }, 'lib');
    return sort @files;
}

1;
