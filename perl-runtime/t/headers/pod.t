use strict;
use warnings;
use Test2::V0;
use File::Find;
use File::Temp;
use FindBin;
use Pod::Checker;

# Documentation of this area: no POD warnings, every public sub mentioned, and a SYNOPSIS that runs.

my $lib = "$FindBin::Bin/../../lib";
my @files = map { "$lib/PAGI/$_" } qw(Context.pm Headers.pm Request.pm Response.pm Transport.pm);
find({ no_chdir => 1, wanted => sub { push @files, $_ if /\.pm\z/ } }, map { "$lib/PAGI/$_" } qw(Context Endpoint Request Response));

sub source { open my $fh, '<:encoding(UTF-8)', $_[0] or die "$_[0]: $!"; local $/; return scalar <$fh> }

for my $file (sort @files) {
    (my $name = $file) =~ s{.*/lib/}{};
    my $source = source($file);
    my ($code, $pod) = split /^__END__$/m, $source, 2;

    my $checker = Pod::Checker->new(-warnings => 1);
    open my $null, '>', \my $complaints or die $!;
    $checker->parse_from_file($file, $null);
    is [ $checker->num_errors, $checker->num_warnings, $complaints ], [ 0, 0, $complaints ], "$name: POD is clean";

    my ($synopsis) = $pod =~ /^=head1 SYNOPSIS\n\n(.*?)^=/ms;
    ok $synopsis, "$name: has a SYNOPSIS" or next;
    my $script = File::Temp->new(SUFFIX => '.pl');
    print {$script} $synopsis =~ s/^    //gmr;
    close $script;
    my $output = `$^X -I\Q$lib\E -w \Q$script\E 2>&1`;
    is $?, 0, "$name: the SYNOPSIS runs" or diag $output;

    my ($package) = $code =~ /^package ([\w:]+);/m;
    my @public = $code =~ /^(?:async )?sub ([a-z]\w*)/mg;
    my @missing = grep { $pod !~ /\b$_\b/ } @public;
    is \@missing, [], "$name: every public sub of $package is documented";
}

done_testing;
