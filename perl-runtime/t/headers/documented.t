use strict;
use warnings;
use Test2::V0;
use File::Find;
use FindBin;

# Every public sub of these classes is in their documentation.

my $lib = "$FindBin::Bin/../../lib/PAGI";
my @files = map { "$lib/$_" } qw(Context.pm Headers.pm Request.pm Response.pm Transport.pm);
find({ no_chdir => 1, wanted => sub { push @files, $_ if /\.pm\z/ } }, map { "$lib/$_" } qw(Context Endpoint Request Response));

for my $file (sort @files) {
    open my $handle, '<:encoding(UTF-8)', $file or die "$file: $!";
    my ($code, $pod) = split /^__END__$/m, do { local $/; <$handle> }, 2;
    my @public = $code =~ /^(?:async )?sub ([a-z]\w*)/mg;
    is [ grep { $pod !~ /\b$_\b/ } @public ], [], $file =~ s{.*/lib/}{}r;
}

done_testing;
