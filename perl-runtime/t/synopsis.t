use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Temp ();
use PAGITest::Modules qw(module_files);

# The code in every SYNOPSIS works. Each run of verbatim paragraphs in the section is one block:
#
#   with a line "use strict;"       a complete program: it is run, has to exit with 0 and to print nothing to stderr
#   beginning with "package ...;"   a class: it is compiled
#   anything else                   a fragment: it is compiled as the body of an async sub, the usual variables declared
#
# A program that must not be run, because it would not end, say, has this line before the block and is compiled only:
#
#   =for pagi-synopsis compile

my $SECONDS = 30;
my @VARIABLES = qw($api $app $client $ctx $event $inner $receive $request $response $scope $self $send $sse $ws);

for my $file (module_files()) {
    my @blocks = blocks_of($file);
    ok scalar @blocks, "$file has code in its SYNOPSIS";
    for my $block (@blocks) {
        my ($ok, $output) = $block->{code} =~ /^use strict;/m ? try_program($block)
            : $block->{code} =~ /\Apackage / ? try_class($block)
            : try_fragment($block);
        ok $ok, "$file: SYNOPSIS in line $block->{line}" or diag "$output\n$block->{code}";
    }
}

done_testing;

sub blocks_of ($file) {
    open my $handle, '<:raw', $file or die "Cannot read $file: $!";
    my ($in_pod, $in_synopsis, $compile_only, @blocks, $block) = (0, 0, 0);
    while (my $line = readline $handle) {
        if ($line =~ /\A=(\w+)\s*(.*?)\s*\z/) {
            my ($command, $text) = ($1, $2);
            undef $block;
            $in_pod = $command ne 'cut';
            $in_synopsis = $text eq 'SYNOPSIS' if $command eq 'head1';
            $compile_only = $in_synopsis && $command eq 'for' && $text eq 'pagi-synopsis compile';
        }
        elsif ($in_pod && $in_synopsis && $line =~ /\A[ \t]+\S/) {
            push @blocks, $block = { line => $., code => '', compile_only => $compile_only } unless $block;
            $block->{code} .= $line =~ s/\A {1,4}//r;
        }
        elsif ($line =~ /\S/) {
            undef $block;
        }
        elsif ($block) {
            $block->{code} .= "\n";
        }
    }
    return @blocks;
}

sub try_program ($block) {
    return perl($block->{code}, $block->{compile_only} ? '-c' : ());
}

sub try_class ($block) {
    return perl("use strict; use warnings; use Future::AsyncAwait;\n#line 1 \"SYNOPSIS\"\n$block->{code}\n1;\n", '-c');
}

sub try_fragment ($block) {
    my $declared = join ', ', grep { $block->{code} !~ /\bmy \(?\Q$_\E\b/ } @VARIABLES;
    return perl(<<"END", '-c');
use strict;
use warnings;
no warnings qw(once void);
use Future::AsyncAwait;
my \$fragment = async sub {
my ($declared);
#line 1 "SYNOPSIS"
$block->{code}
};
END
}

# Runs perl on the code. True, and what it printed to stderr, if it exits with 0 and prints nothing there.
sub perl ($code, @options) {
    my $program = File::Temp->new(SUFFIX => '.pl');
    print {$program} $code;
    close $program;
    my $errors = File::Temp->new;
    my $pid = fork // die "Cannot fork: $!";
    if (!$pid) {
        alarm $SECONDS;
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', "$errors";
        exec $^X, '-Ilib', '-It/lib', @options, "$program" or exit 127;
    }
    waitpid $pid, 0;
    my $status = $?;
    my $output = do { local $/; open my $handle, '<', "$errors" or die; readline($handle) // '' };
    $output =~ s/^\S+ syntax OK\n//m if grep { $_ eq '-c' } @options;
    return ($status == 0 && $output eq '', "status $status\n$output");
}
