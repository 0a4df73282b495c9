use v5.36;
use Test2::V0;
use PAGI::Utils::Random qw(secure_random_bytes);
use PAGI::Utils::SecureCompare qw(secure_compare);

for my $count (0, 1, 8, 16, 32, 64, 10_000) {
    is length secure_random_bytes($count), $count, "$count bytes";
}
isnt secure_random_bytes(16), secure_random_bytes(16), 'two calls differ';
unlike secure_random_bytes(10_000), qr/[^\x00-\xff]/, 'bytes';

subtest 'without the device' => sub {
    no warnings 'redefine';
    local *PAGI::Utils::Random::_from_device = sub { return undef };
    local $INC{'Crypt/URandom.pm'} = __FILE__;
    local *Crypt::URandom::urandom = sub { return 'u' x $_[0] };
    is secure_random_bytes(3), 'uuu', 'Crypt::URandom is asked';

    local *Crypt::URandom::urandom = sub { die 'no source' };
    is dies { secure_random_bytes(3) },
        "No secure random source available (need /dev/urandom or Crypt::URandom)\n", 'and without that it dies';
};

my $long = 'x' x 5000;
is secure_compare('secret', 'secret'), 1, 'equal';
is secure_compare('', ''), 1, 'two empty strings are equal';
is secure_compare($long, $long), 1, 'long and equal';
is secure_compare("caf\x{e9}\x{263a}", "caf\x{e9}\x{263a}"), 1, 'characters';
is secure_compare(@$_), 0, 'different: ' . join ' / ', map { defined ? substr $_, 0, 10 : 'undef' } @$_
    for ['secret', 'Secret'], ['secret', 'secreT'], ['secret', 'secrets'], ['', 'a'], [undef, 'a'], ['a', undef],
        [undef, undef], [$long, 'y' . substr $long, 1], [$long, substr($long, 1) . 'y'], ["\x{163}", 'c'];

done_testing;
