use strict;
use warnings;
use Test2::V0;
use PAGI::Request::MultipartParser;

# Parts as [ name, filename, content ], the body fed in pieces of $size bytes.
sub parse {
    my ($body, $size) = @_;
    my $parser = PAGI::Request::MultipartParser->new('xyz');
    my (@parts, $open);
    for my $piece (unpack "(a$size)*", $body) {
        for my $event ($parser->feed($piece)) {
            my ($kind, $value) = @$event;
            if    ($kind eq 'part') { push @parts, [ @$value{qw(name filename)}, '' ]; $open = 1 }
            elsif ($kind eq 'data') { $parts[-1][2] .= $value }
            else                    { $open = 0 }
        }
    }
    $parser->finish;
    die 'a part was left open' if $open;
    return \@parts;
}

sub header { PAGI::Request::MultipartParser->new('xyz')->feed("--xyz\r\n$_[0]\r\n\r\n") }

my $disposition = 'Content-Disposition: form-data';

subtest 'any piece size gives the same parts' => sub {
    my $body = join "\r\n", 'preamble',
        '--xyz',   qq{$disposition; name="a"}, '', "one\r\n--xy\r\n\r\n--", # looks like a delimiter, is none
        "--xyz \t", qq{$disposition; name="empty"}, '', '',
        '--xyz',   qq{$disposition; name="bare"}, '',                       # no content and no line end of its own
        '--xyz',   '', 'no header at all',
        '--xyz',   qq{content-DISPOSITION:form-data;name="f";filename=""}, 'X: y', '', "\0\xff\r\n",
        '--xyz--', '';
    my $expected = [
        [ 'a', undef, "one\r\n--xy\r\n\r\n--" ], [ 'empty', undef, '' ], [ 'bare', undef, '' ],
        [ undef, undef, 'no header at all' ], [ 'f', '', "\0\xff\r\n" ],
    ];
    for my $size (1 .. 40, length $body) {
        is parse($body, $size), $expected, "pieces of $size";
    }
    is parse("--xyz--\r\n", 100), [], 'no part';
    is parse("--xyz\r\n\r\nx\r\n--xyz--", 1), [ [ undef, undef, 'x' ] ], 'the last line end may be missing';
    is parse("--xyz\r\n\r\nx\r\n--xyz-- \r\n\r\n", 1), [ [ undef, undef, 'x' ] ], 'blanks and line ends after the end';
};

subtest 'every truncation is an error' => sub {
    my $body = qq{p\r\n--xyz\r\n$disposition; name="a"\r\n\r\none\r\n--xyz--};
    is parse($body, 7), [ [ 'a', undef, 'one' ] ], 'complete';
    for my $length (0 .. length($body) - 1) {
        like dies { parse(substr($body, 0, $length), 7) },
            qr/^Multipart parse error: End of stream encountered while parsing (?:preamble|boundary|part header|part body)$/,
            "$length bytes";
    }
};

subtest 'part headers' => sub {
    my ($event) = header(qq{$disposition; name="a"\r\nContent-Type: text/html\r\n  ; charset=x\r\nX-Y: 1\r\nx-y:\t2 \r\nContent-Transfer-Encoding: base64});
    is $event->[1], {
        name => 'a', filename => undef, content_type => 'text/html ; charset=x', encoding => 'base64',
        headers => {
            'content-disposition' => 'form-data; name="a"', 'content-type' => 'text/html ; charset=x', 'x-y' => 2,
            'content-transfer-encoding' => 'base64',
        },
    }, 'folded lines are joined, names lower-cased, the last of several wins';
    is [ header('X: y') ]->[0][1]{content_type}, 'text/plain', 'default type';

    my %names = (
        'name="a b;c"'       => [ 'a b;c', undef ],
        'name=a; filename=b' => [ 'a', 'b' ],
        'NAME = "a" ; FileName = "b"' => [ 'a', 'b' ],
        'name="a\"b"; filename="C:\dir\f.txt"' => [ 'a"b', 'C:\dir\f.txt' ],
        'name="a"; name="b"' => [ 'a', undef ],
        q{name="a"; filename="fallback"; filename*=UTF-8''%e2%82%ac%20x} => [ 'a', "\xe2\x82\xac x" ],
        q{name="a"; filename*=iso-8859-1'en'%e9} => [ 'a', "\xc3\xa9" ],
        q{name="a"; filename="kept"; filename*=klingon''x} => [ 'a', 'kept' ],
        'x=y'                => [ undef, undef ],
        'name="unterminated' => [ '"unterminated', undef ],
    );
    for my $case (sort keys %names) {
        my ($event) = header("$disposition; $case");
        is [ @{ $event->[1] }{qw(name filename)} ], $names{$case}, $case;
    }
};

subtest 'malformed bodies' => sub {
    my %error = (
        "--xyz\r\nno colon\r\n\r\n"        => 'Malformed header line',
        "--xyz\r\n: value\r\n\r\n"         => 'Malformed header line',
        "--xyz\r\nA\0: value\r\n\r\n"      => 'Malformed header line',
        "--xyz\r\n  continued\r\n\r\n"     => 'Continuation line seen before first header',
        "--xyzz\r\n"                       => 'Boundary does not terminate with CRLF or hyphens',
        "--xyz\n"                          => 'Boundary does not terminate with CRLF or hyphens',
        "--xyz" . ' ' x 1000               => 'Boundary does not terminate with CRLF or hyphens',
        "--xyz--x"                         => 'Closing boundary does not terminate with CRLF',
        "--xyz--\r\nmore"                  => 'Nonempty epilogue',
        'x' x 40_000                       => 'Size of preamble exceeds maximum allowed',
        "--xyz\r\nX: " . 'x' x 40_000      => 'Size of part header exceeds maximum allowed',
        "--xyz\r\nX: " . 'x' x 40_000 . "\r\n\r\n" => 'Size of part header exceeds maximum allowed',
    );
    for my $body (sort keys %error) {
        for my $size (length $body, 5) {
            is dies { parse($body, $size) }, "Multipart parse error: $error{$body}\n", "$error{$body}, pieces of $size";
        }
    }
    for my $boundary ('', "a\r\nb", 'x' x 201, "\xe9") {
        is dies { PAGI::Request::MultipartParser->new($boundary) }, "Invalid multipart boundary\n", 'boundary';
    }
};

subtest 'nothing is kept that was handed out' => sub {
    my $parser = PAGI::Request::MultipartParser->new('xyz');
    $parser->feed("--xyz\r\n\r\n");
    my ($handed, $most) = (0, 0);
    for (1 .. 100) {
        $handed += length $_->[1] for $parser->feed("\r\n--xy" x 1000);
        $most = length $parser->{buffer} if $most < length $parser->{buffer};
    }
    is $most < 10, T, 'less than a delimiter stays behind';
    is $handed > 599_990, T, 'the rest was handed out';
};

done_testing;
