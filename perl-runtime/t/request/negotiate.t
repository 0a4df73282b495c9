use strict;
use warnings;
use Test2::V0;
use PAGI::Request;
use PAGI::Request::Negotiate;

my $n = 'PAGI::Request::Negotiate';

subtest parse_accept => sub {
    is [ $n->parse_accept(undef) ], [ [ '*/*', 1 ] ], 'undef';
    is [ $n->parse_accept('') ],    [ [ '*/*', 1 ] ], 'empty';
    is [ $n->parse_accept('text/html;q=0.5, Application/JSON , text/*;q=0.5, */*;q=0.5') ],
        [ [ 'application/json', 1 ], [ 'text/html', .5 ], [ 'text/*', .5 ], [ '*/*', .5 ] ],
        'sorted by q, then specificity; lower-cased and trimmed';
    is [ map { $_->[0] } $n->parse_accept('a/a, b/b, c/c') ], [qw(a/a b/b c/c)], 'otherwise stable';
    is [ $n->parse_accept('a/a;q=7, b/b;q=-1, c/c;q=x, d/d; level=1; q=0.25; q=0.9') ],
        bag { item [ 'a/a', 1 ]; item [ 'b/b', 0 ]; item [ 'c/c', 1 ]; item [ 'd/d', .25 ]; end },
        'q is clamped, unparsable q ignored, first q counts, other parameters dropped';
    is [ $n->parse_accept(' , ,a/a,') ], [ [ 'a/a', 1 ] ], 'empty items are skipped';
};

subtest type_matches => sub {
    for my $case (
        [ 'text/html', 'text/html', 1 ], [ 'TEXT/html', 'text/HTML', 1 ], [ 'text/html', '*/*', 1 ],
        [ 'text/html', 'text/*', 1 ],    [ 'text/html', 'image/*', 0 ],   [ 'text/html', 'text/plain', 0 ],
        [ 'textual/html', 'text/*', 0 ],
    ) {
        is $n->type_matches(@$case[ 0, 1 ]), $case->[2], "$case->[0] ~ $case->[1]";
    }
};

subtest normalize_type => sub {
    my %expected = (
        html => 'text/html', text => 'text/plain', txt => 'text/plain', json => 'application/json', xml => 'application/xml',
        atom => 'application/atom+xml', rss => 'application/rss+xml', css => 'text/css', js => 'application/javascript',
        png => 'image/png', jpg => 'image/jpeg', jpeg => 'image/jpeg', gif => 'image/gif', svg => 'image/svg+xml',
        pdf => 'application/pdf', zip => 'application/zip', form => 'application/x-www-form-urlencoded',
        'a/b' => 'a/b', other => 'application/other', JSON => 'application/json',
    );
    is { map { $_ => $n->normalize_type($_) } keys %expected }, \%expected, 'all shortcuts';
};

subtest best_match => sub {
    is $n->best_match([qw(html json)], 'application/json, text/html;q=0.9'), 'json', 'highest q';
    is $n->best_match([qw(html json)], undef), 'html', 'no header: first supported';
    is $n->best_match([qw(html json)], 'application/json, text/html'), 'json', 'ties follow the client';
    is $n->best_match([qw(html json)], '*/*'), 'html', 'ties within one range follow the supported order';
    is $n->best_match([qw(png)], 'text/html'), undef, 'none';
    is $n->best_match([], '*/*'), undef, 'empty list';
    is $n->best_match([qw(text/plain)], 'text/*'), 'text/plain', 'wildcard';
    is $n->best_match([qw(html json)], 'text/html;q=0, */*;q=0.1'), 'json', 'q=0 vetoes a wildcard';
    is $n->best_match([qw(html json)], 'text/*;q=0.9, text/html;q=0.1, */*;q=0.5'), 'json', 'most specific range decides';
};

subtest accepts_type => sub {
    for my $case (
        [ undef, 'json', 1 ], [ 'text/html', 'html', 1 ], [ 'text/html', 'json', 0 ], [ 'text/*', 'text/html', 1 ],
        [ 'text/html', 'text/*', 1 ], [ '*/*', 'x/y', 1 ], [ 'text/html;q=0', 'html', 0 ], [ 'text/html;q=0', 'text/*', 0 ],
        [ 'application/json;q=0, */*', 'json', 0 ], [ 'application/json;q=0, */*', 'html', 1 ],
        [ 'text/html', 'TEXT/HTML', 1 ],
    ) {
        my ($header, $type, $expected) = @$case;
        is $n->accepts_type($header, $type), $expected, join ' ', $header // 'undef', $type;
    }
};

subtest quality_for_type => sub {
    my $accept = 'text/html;q=0.7, text/*;q=0.3, */*;q=0.1';
    is $n->quality_for_type($accept, 'html'), .7, 'exact';
    is $n->quality_for_type($accept, 'text/plain'), .3, 'type/*';
    is $n->quality_for_type($accept, 'image/png'), .1, '*/*';
    is $n->quality_for_type('text/html', 'image/png'), 0, 'none';
    is $n->quality_for_type(undef, 'image/png'), 1, 'no header';
};

subtest 'from a request' => sub {
    my $request = PAGI::Request->new({ type => 'http', headers => [ [ accept => 'text/html;q=0.5' ], [ Accept => 'application/json' ] ] });
    is [ $request->accepts('json'), $request->accepts('html'), $request->accepts('png') ], [ 1, 1, 0 ], 'all Accept lines count';
    is $request->preferred_type('html', 'json'), 'json', 'preferred_type';
    my $bare = PAGI::Request->new({ type => 'http', headers => [] });
    is [ $bare->accepts('png'), $bare->preferred_type('png', 'json') ], [ 1, 'png' ], 'no Accept: everything';
};

done_testing;
