package FileTree;

# A directory to serve, its neighbours that must stay unseen, and paths that try to reach them.

use strict;
use warnings;

use Encode ();
use Exporter qw(import);
use File::Path qw(make_path);
use File::Temp ();

our @EXPORT_OK = qw(decoded file_tree traversal_paths);

our $SECRET = 'TOP-SECRET-CONTENT';

sub file_tree {
    my $base = File::Temp->newdir;
    my %file = (
        'www/index.html'          => '<h1>index</h1>',
        'www/test.txt'            => 'Hello, file',
        'www/data.json'           => '{"a":1}',
        'www/style.css'           => 'body{}',
        'www/unknown.xyz'         => 'what',
        'www/empty.txt'           => '',
        'www/two..dots.txt'       => 'two dots',
        'www/big.bin'             => join('', map { chr($_ % 251) } 0 .. 65_999),
        'www/sub/nested.txt'      => 'nested',
        'www/sub/indexed/index.htm' => 'htm index',
        'www/.hidden'             => $SECRET,
        'www/.git/config'         => $SECRET,
        "www/caf\xc3\xa9.txt"     => 'coffee',
        "www/caf\xe9.bin"         => 'latin',
        'secret.txt'              => $SECRET,
        'wwwevil/secret.txt'      => $SECRET,
    );
    for my $name (sort keys %file) {
        make_path("$base/$name" =~ s{/[^/]+\z}{}r);
        open my $handle, '>:raw', "$base/$name" or die "Cannot write $base/$name: $!";
        print {$handle} $file{$name};
        close $handle or die;
    }
    make_path("$base/www/nothing");
    symlink "$base/secret.txt", "$base/www/link.txt" or die;
    symlink "$base", "$base/www/outside" or die;
    symlink "$base/wwwevil", "$base/www/evil" or die;
    symlink 'test.txt', "$base/www/inside.txt" or die;
    return $base;
}

# As the server decodes a path (PATH-2, PATH-3).
sub decoded {
    my ($raw) = @_;
    (my $octets = $raw) =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    my $copy = $octets;
    return eval { Encode::decode('UTF-8', $copy, Encode::FB_CROAK) } // $octets;
}

sub traversal_paths {
    my @up = (
        '..', '%2e%2e', '%2E%2E', '.%2e', '%2e.', '..%00', '%00..', '..%20', '...', '....', '%252e%252e', '%25252e%25252e',
        '%c0%ae%c0%ae', '%e0%80%ae%e0%80%ae', '%ef%bc%8e%ef%bc%8e', '%uff0e%uff0e', '..;', '..;x=1', '.', '%2e',
    );
    my @slash = ('/', '%2f', '%2F', '\\', '%5c', '%5C', '//', '%252f', '%c0%af', '%e2%88%95');
    my @paths;
    for my $up (@up) {
        for my $slash (@slash) {
            push @paths, "/$up${slash}secret.txt", "/sub/$up$slash$up${slash}secret.txt";
        }
    }
    push @paths, map {"/$_"} qw(
        .hidden %2ehidden .git/config %2egit/config %2Egit%2fconfig sub/../.hidden sub/../../wwwevil/secret.txt
        link.txt outside/secret.txt outside/wwwevil/secret.txt evil/secret.txt outside%2fsecret.txt evil%5csecret.txt
        test.txt%00 test.txt%00.html %00 sub/%00/nested.txt ..%5c..%5csecret.txt C:%5csecret.txt
        /etc/passwd //etc/passwd %2fetc%2fpasswd ../../../../../../etc/passwd ..%2f..%2f..%2f..%2fetc%2fpasswd
        sub/%2e%2e%2f%2e%2e%2fsecret.txt ./secret.txt %2e/secret.txt /../secret.txt //../secret.txt ../www/../secret.txt
        test.txt/ test.txt/.. test.txt/../test.txt nothing/../test.txt ~root/ ~/secret.txt file:///etc/passwd
    );
    return @paths;
}

1;
