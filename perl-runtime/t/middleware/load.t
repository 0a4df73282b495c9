use strict;
use warnings;
use Test2::V0;
use Cwd ();
use File::Find ();
use File::Temp qw(tempdir);

# Every shipped module loads on its own, and its documentation is complete.
my @modules;
File::Find::find({ no_chdir => 1, wanted => sub {
    push @modules, $File::Find::name if /\.pm\z/ && m{lib/PAGI/Middleware};
} }, 'lib/PAGI');
ok(@modules > 55, 'found the modules: ' . @modules);

for my $file (sort @modules) {
    (my $module = $file) =~ s{\Alib/|\.pm\z}{}g;
    $module =~ s{/}{::}g;
    ok(eval { (my $path = $file) =~ s{\Alib/}{}; require $path; 1 }, "$module loads") or diag $@;
    open my $in, '<', $file or die $!;
    my $text = do { local $/; <$in> };
    like($text, qr/^=head1 NAME\n\n\Q$module\E - \S/m, "$module has a name line");
    like($text, qr/^=head1 SYNOPSIS/m, "$module has a synopsis");
}

subtest 'every synopsis compiles and runs' => sub {
    my ($lib, $scratch) = (Cwd::abs_path('lib'), tempdir(CLEANUP => 1));
    for my $file (sort @modules) {
        open my $in, '<', $file or die $!;
        my $text = do { local $/; <$in> };
        my ($synopsis) = $text =~ /^=head1 SYNOPSIS\n(.*?)^=(?:head1|cut)/ms;
        my $code = join '', map { s/\A    //r } grep { /\A(?:    |\n)/ } $synopsis =~ /(.*\n)/g;
        my $pid = open(my $out, '-|') // die $!;
        if (!$pid) {
            open STDERR, '>&', \*STDOUT;
            chdir $scratch or die $!;
            exec $^X, "-I$lib", '-Mstrict', '-Mwarnings', '-e', "$code\n;1" or die $!;
        }
        my $said = do { local $/; <$out> } // '';
        close $out;
        is($?, 0, "$file") or diag $said, $code;
    }
};

done_testing;
