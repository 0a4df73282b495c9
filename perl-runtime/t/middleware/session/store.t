use strict;
use warnings;
use experimental 'signatures';
use Test2::V0;
use Crypt::AuthEnc::GCM ();
use Digest::SHA qw(sha256);
use File::Temp qw(tempdir);
use MIME::Base64 qw(encode_base64 decode_base64);
use PAGI::Middleware::Session::Store;
use PAGI::Middleware::Session::Store::Cookie;
use PAGI::Middleware::Session::Store::File;
use PAGI::Middleware::Session::Store::Memory;
use PAGI::Middleware::Session::Store::Shared;
use PAGI::Shared;

my $S = 'PAGI::Middleware::Session::Store';

subtest 'base' => sub {
    my $store = $S->new(a => 1);
    like(dies { $store->$_('x', {}) }, qr/^PAGI::Middleware::Session::Store must implement $_\(\)/, $_) for qw(get set delete);
};

subtest 'Memory' => sub {
    my $M = "${S}::Memory";
    $M->clear_all;
    my ($one, $two) = ($M->new, $M->new);
    isa_ok($_, 'Future') for $one->get('x'), $one->set('x', {}), $one->delete('x');
    is($one->get('none')->get, undef, 'missing');
    is($one->get(undef)->get, undef, 'undef');
    my $data = { _id => 'a', n => 1 };
    is($one->set(a => $data)->get, 'a', 'set resolves to the id');
    ref_is($two->get('a')->get, $data, 'instances share, the reference is kept');
    is($two->delete('a')->get, 1, 'delete resolves to 1');
    is($one->get('a')->get, undef, 'gone');
    $one->set($_ => {})->get for 1 .. 3;
    $M->clear_all;
    is($one->get(2)->get, undef, 'clear_all');

    my $now = time;
    my $old = sub ($age) { { _created => 0, _last_access => $now - $age } };
    $one->set(old => $old->(100)); $one->set(new => $old->(1)); $one->set(made => { _created => $now });
    is($M->prune(50), 1, 'prune says how many');
    is([ map { defined $one->get($_)->get ? 1 : 0 } qw(old new made) ], [ 0, 1, 1 ], 'the unused one');

    $M->clear_all;
    my $tidy = $M->new(max_idle => 50);
    $one->set(old => $old->(100));
    $tidy->set(fresh => $old->(0));
    is($one->get('old')->get, undef, 'max_idle prunes while saving');

    $M->clear_all;
    my $full = $M->new(max_sessions => 20);
    my @counts = map { $full->set($_ => $old->(100 - $_)); scalar grep { defined $full->get($_)->get } 1 .. 50 } 1 .. 50;
    is((sort { $b <=> $a } @counts)[0], 20, 'max_sessions is kept');
    ok(defined $full->get(50)->get && !defined $full->get(1)->get, 'the longest unused go first');
    like(dies { $M->new(max_idle => 'x') }, qr/'max_idle' must be a number above 0/, 'checked');
    $M->clear_all;
};

subtest 'Shared' => sub {
    my $C = "${S}::Shared";
    my $shared = PAGI::Shared->new(place => 'memory:;entries=100;bytes=100000;item=1000');
    my $store = $C->new(shared => $shared);
    isa_ok($_, 'Future') for $store->get('x'), $store->set('x', {}), $store->delete('x');
    is([ map { $_->get } $store->get('none'), $store->get(undef) ], [ undef, undef ], 'missing');
    my $data = { _id => 'a', text => "\x{263a}", deep => [1] };
    is($store->set(a => $data)->get, 'a', 'set resolves to the id');
    is($C->new(shared => $shared)->get('a')->get, $data, 'another process would see it');
    ref_is_not($store->get('a')->get, $store->get('a')->get, 'everybody gets a copy');
    is($C->new(shared => $shared, prefix => 'other:')->get('a')->get, undef, 'prefix keeps applications apart');
    is([ $store->delete('a')->get, $store->delete('a')->get, $store->get('a')->get ], [ 1, 1, undef ], 'delete resolves to 1');
    is($store->set("\x{263a}" => { n => 1 })->get, "\x{263a}", 'any id is only a key');
    is($store->get("\x{263a}")->get, { n => 1 }, 'and finds its session');
    is([ map { $_->get } $store->get('x' x 2000), $store->delete('x' x 2000) ], [ undef, 1 ], 'a hostile id is no session');
    like($store->set('x' x 2000 => {})->failure, qr/cannot save a session: its id is too long/, 'nor becomes one');
    $shared->set('session:bad' => '{"half', 60);
    is($store->get('bad')->get, undef, 'damaged data is no session');
    like($store->set(a => { code => sub { } })->failure, qr/Store::Shared cannot save a session: /, 'what JSON cannot hold fails');
    like($store->set(a => { x => 'y' x 1000 })->failure, qr/--store-item-bytes 1000/, 'so does what is too large');
    $C->new(shared => $shared, max_idle => 1)->set(short => { n => 1 })->get;
    select undef, undef, undef, 1.1;
    is($store->get('short')->get, undef, 'max_idle');
    like(dies { $C->new(max_idle => 0) }, qr/'max_idle' must be a number of seconds above 0/, 'checked');
};

subtest 'File' => sub {
    my $F = "${S}::File";
    my $dir = tempdir(CLEANUP => 1) . '/made/here';
    my $store = $F->new(dir => $dir);
    is((stat $dir)[2] & 07777, 0700, 'directory for the owner only');
    is($store->get('none')->get, undef, 'missing');
    is($store->get(undef)->get, undef, 'undef');
    my $id = 'f' x 64;
    is($store->set($id => { _id => $id, text => "\x{263a}" })->get, $id, 'set resolves to the id');
    is($F->new(dir => $dir)->get($id)->get, { _id => $id, text => "\x{263a}" }, 'another process would see it');
    my ($file) = glob "$dir/*.json";
    is((stat $file)[2] & 07777, 0600, 'file for the owner only');
    unlike($file, qr/ffff/, 'the id cannot be read from the directory');

    for my $evil ('../../../etc/passwd', "a\0b", '/etc/passwd', "\x{263a}", '') {
        is($store->set($evil => { n => 1 })->get, $evil, 'any id is only a key');
        is($store->get($evil)->get, { n => 1 }, 'and finds its session');
        $store->delete($evil)->get;
    }
    is([ glob "$dir/*" ], [$file], 'all inside the directory');

    my $writer = fork // die $!;
    if (!$writer) { for my $n (1 .. 400) { $store->set($id => { n => $n, fill => 'x' x (5000 + $n) })->get } POSIX::_exit(0) if require POSIX }
    my $torn = 0;
    while (waitpid($writer, 1) == 0) {
        my $got = $store->get($id)->get;
        $torn++ if !$got || (exists $got->{fill} && length $got->{fill} != 5000 + $got->{n});
    }
    is($torn, 0, 'a reader never sees half a session');
    is([ grep { /new-/ } glob "$dir/*" ], [], 'no temporary files stay');

    open my $out, '>', $file or die $!; print {$out} '{"half'; close $out;
    is($store->get($id)->get, undef, 'a damaged file is no session');
    like($store->set($id => { code => sub { } })->failure, qr/Store::File cannot save a session in '\Q$dir\E': /, 'what JSON cannot hold fails');
    is([ grep { /new-/ } glob "$dir/*" ], [], 'and leaves nothing behind');

    $store->set($_ => { n => 1 })->get for 'old', 'new';
    my ($old) = map { $store->_path($_) } 'old';
    utime time - 100, time - 100, $old;
    is($store->prune(50), 1, 'prune');
    is([ map { defined $store->get($_)->get ? 1 : 0 } qw(old new) ], [ 0, 1 ], 'removed the unused one');
    is([ $store->delete('new')->get, $store->delete('new')->get, $store->delete(undef)->get ], [ 1, 1, 1 ], 'delete resolves to 1');

    like(dies { $F->new }, qr/Store::File requires 'dir' option/, 'required');
    like(dies { $F->new(dir => "$file/x") }, qr/Store::File cannot create '\Q$file\E\/x': /, 'cannot be created');
};

subtest 'Cookie' => sub {
    my $C = "${S}::Cookie";
    like(dies { $C->new }, qr/Store::Cookie requires 'secret' option/, 'needs a secret');
    my $store = $C->new(secret => 'top secret');
    my $data = { _id => 'abc', password => 'visible?', text => "\x{263a}" };
    my $blob = $store->set(abc => $data)->get;
    isnt($blob, 'abc', 'the blob is not the id');
    unlike($blob, qr/[^A-Za-z0-9+\/=]/, 'base64 in one line');
    unlike(decode_base64($blob), qr/visible/, 'and hides the data');
    is($store->get($blob)->get, $data, 'round trip');
    isnt($store->set(abc => $data)->get, $blob, 'never twice the same');

    my $bytes = decode_base64($blob);
    my @parts = unpack 'a12 a16 a*', $bytes;
    is(Crypt::AuthEnc::GCM::gcm_decrypt_verify('AES', sha256('top secret'), $parts[0], '', @parts[ 2, 1 ]),
        '{"_id":"abc","password":"visible?","text":"' . "\xe2\x98\xba" . '"}', 'format: IV, tag, ciphertext');

    for my $at (0, 11, 12, 27, 28, length($bytes) - 1) {
        my $bad = $bytes;
        substr($bad, $at, 1) ^= "\x01";
        is($store->get(encode_base64($bad, ''))->get, undef, "byte $at changed");
    }
    is($store->get($_)->get, undef, 'no session: ' . ($_ // 'undef')) for undef, '', 'garbage', '!!!', substr($blob, 0, 20), "$blob\n", encode_base64('x' x 28, '');
    is($C->new(secret => 'other')->get($blob)->get, undef, 'wrong secret');
    is([ $store->delete($blob)->get, $store->get($blob)->get ], [ 1, $data ], 'delete does nothing');

    like($store->set(a => { x => 'y' x 5000 })->failure, qr/Session of \d+ bytes is too large for a cookie \(limit 3800\)/, 'too large for a cookie');
    like($C->new(secret => 's', max_size => 50)->set(a => { x => 'y' x 50 })->failure, qr/limit 50/, 'own limit');
    like($store->set(a => { x => sub { } })->failure, qr/Store::Cookie cannot encrypt the session/, 'what JSON cannot hold fails');
};

done_testing;
