use strict;
use warnings;
use Test2::V0;
use PAGI::Headers;

my @pairs = (
    [ 'Content-Type' => 'text/plain' ],
    [ 'Set-Cookie'   => 'a=1' ],
    [ 'X-Thing'      => '0' ],
    [ 'set-cookie'   => 'b=2' ],
    [ 'X-Empty'      => '' ],
);

subtest construction => sub {
    my $headers = PAGI::Headers->new(\@pairs);
    is $headers->to_pairs, \@pairs, 'pairs are kept in order';
    push @{ $pairs[0] }, 'extra';
    is $headers->to_pairs->[0], [ 'Content-Type', 'text/plain' ], 'pairs are copied';
    pop @{ $pairs[0] };
    is(PAGI::Headers->new->count, 0, 'no argument');
    is(PAGI::Headers->new($headers)->to_pairs, \@pairs, 'from another object');
    for my $bad ({}, 'x', sub { }) {
        like dies { PAGI::Headers->new($bad) },
            qr/^PAGI::Headers->new expects an arrayref of \[name, value\] pairs at \Q$0\E/, 'bad argument';
    }
};

subtest reading => sub {
    my $headers = PAGI::Headers->new(\@pairs);
    is $headers->get('CONTENT-type'), 'text/plain', 'names are case-insensitive';
    is $headers->get('set-cookie'), 'b=2', 'last value, not joined';
    is [ $headers->get_all('SET-COOKIE') ], [ 'a=1', 'b=2' ], 'all values in order';
    is [ $headers->get_all('none') ], [], 'none';
    is $headers->get('none'), undef, 'missing';
    is $headers->get('x-thing'), '0', 'a false value';
    is $headers->get('x-empty'), '', 'an empty value';
    is [ map { $headers->has($_) } 'SET-cookie', 'none', '', undef ], [ 1, 0, 0, 0 ], 'has';
    is [ $headers->names ], [ 'Content-Type', 'Set-Cookie', 'X-Thing', 'X-Empty' ], 'names as first seen';
    is $headers->count, 5, 'count counts lines';
    is [ $headers->is_empty, PAGI::Headers->new->is_empty ], [ 0, 1 ], 'is_empty';
    for my $method (qw(get get_all add set set_default remove)) {
        like dies { $headers->$method(undef, 'v') }, qr/^header name required at \Q$0\E/, "$method without a name";
    }
};

subtest 'ASCII folding only' => sub {
    my $headers = PAGI::Headers->new([ [ "X-\x{c4}" => 1 ], [ "K" => 2 ] ]);
    is $headers->has("x-\x{c4}"), 1, 'ASCII part folds';
    is $headers->has("x-\x{e4}"), 0, 'Latin-1 does not';
    is $headers->has("\x{212a}"), 0, 'nor does the Kelvin sign';
};

subtest 'dereferencing yields a copy' => sub {
    my $headers = PAGI::Headers->new(\@pairs);
    is [ map { $_->[0] } @$headers ], [ map { $_->[0] } @pairs ], 'iteration';
    push @$headers, [ a => 1 ];
    $headers->[0][1] = 'changed';
    is $headers->to_pairs, \@pairs, 'the object is untouched';
    ok(PAGI::Headers->new, 'an empty object is true');
    like "$headers", qr/^PAGI::Headers=HASH/, 'stringifies normally';
};

subtest writing => sub {
    my $headers = PAGI::Headers->new(\@pairs);
    ref_is $headers->set('SET-COOKIE', 'c=3', 'd=4'), $headers, 'set chains';
    is [ $headers->get_all('set-cookie') ], [ 'c=3', 'd=4' ], 'replaced';
    is $headers->to_pairs->[-1], [ 'SET-COOKIE', 'd=4' ], 'appended at the end';
    $headers->set('set-cookie');
    is $headers->has('set-cookie'), 0, 'set without values removes';

    ref_is $headers->add('X-Thing', 1, 2), $headers, 'add chains';
    is [ $headers->get_all('x-thing') ], [ 0, 1, 2 ], 'appended';
    ref_is $headers->set_default('x-thing', 9)->set_default('x-new', 8), $headers, 'set_default chains';
    is [ $headers->get_all('x-thing'), $headers->get('x-new') ], [ 0, 1, 2, 8 ], 'only if absent';

    my $before = $headers->to_pairs;
    like dies { $headers->set('a', 1, undef) },      qr/^header value must be defined at \Q$0\E/, 'set';
    like dies { $headers->add('a', 1, undef) },      qr/^header value must be defined at \Q$0\E/, 'add';
    like dies { $headers->set_default('a', undef) }, qr/^header value must be defined at \Q$0\E/, 'set_default';
    is $headers->to_pairs, $before, 'nothing was stored';

    is [ $headers->remove('X-THING') ], [ 0, 1, 2 ], 'remove returns the values';
    is [ $headers->remove('x-thing') ], [], 'nothing left';
    $headers->add('x-thing', 5);
    is $headers->to_pairs->[-1], [ 'x-thing', 5 ], 'added again it goes last';
    ref_is $headers->clear, $headers, 'clear chains';
    is $headers->is_empty, 1, 'cleared';
};

subtest 'values are opaque' => sub {
    my $value = " \tx\r\ny\0 ";
    my $headers = PAGI::Headers->new([ [ 'A' => $value ] ])->add('B' => $value);
    is $headers->to_pairs, [ [ A => $value ], [ B => $value ] ], 'untouched';
};

subtest 'content headers' => sub {
    my $headers = PAGI::Headers->new([ [ 'CONTENT-Type' => 'a' ], [ 'X' => 1 ], [ 'content-length' => 2 ], [ 'contents' => 3 ] ]);
    my $removed = $headers->remove_content_headers;
    isa_ok $removed, 'PAGI::Headers';
    is $removed->to_pairs, [ [ 'CONTENT-Type' => 'a' ], [ 'content-length' => 2 ] ], 'removed';
    is $headers->to_pairs, [ [ 'X' => 1 ], [ 'contents' => 3 ] ], 'kept';
};

subtest dehop => sub {
    my $headers = PAGI::Headers->new([
        map { [ $_ => 1 ] } qw(Keep-Alive Proxy-Authenticate Proxy-Authorization TE Trailer Transfer-Encoding Upgrade
            X-Hop X-Other Proxy-Connection Keep)
    ]);
    $headers->add(Connection => 'close,  x-HOP ', 'x-other');
    ref_is $headers->dehop, $headers, 'chains';
    is [ $headers->names ], [ 'Proxy-Connection', 'Keep' ], 'connection fields and those named in Connection are gone';
};

subtest 'clone and output' => sub {
    my $headers = PAGI::Headers->new(\@pairs);
    my $clone = $headers->clone->add(c => 1);
    is $headers->count, 5, 'a clone does not change the original';
    $headers->add(d => 1);
    is $clone->has('d'), 0, 'nor the other way round';

    $headers = PAGI::Headers->new(\@pairs);
    is [ $headers->flatten ], [ map { @$_ } @pairs ], 'flatten';
    is $headers->to_hash, { 'Content-Type' => 'text/plain', 'Set-Cookie' => 'b=2', 'X-Thing' => 0, 'X-Empty' => '' }, 'to_hash';
    is $headers->to_hash(1)->{'Set-Cookie'}, [ 'a=1', 'b=2' ], 'to_hash(1)';
    is $headers->to_string, join('', map { "$_->[0]: $_->[1]\r\n" } @pairs), 'to_string';
    my $out = $headers->to_pairs;
    $out->[0][1] = 'changed';
    is $headers->get('content-type'), 'text/plain', 'to_pairs is fresh';
};

done_testing;
