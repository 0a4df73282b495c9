use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use PAGI::Middleware::Cookie;
use PAGI::Middleware::Cookie::Jar;

my $scope;
sub with ($code, $header, %config) {
    my $app = PAGI::Middleware::Cookie->new(%config)->wrap(sub ($got, @rest) { $scope = $got; $code->($got->{'pagi.cookie_jar'}); hello_app()->($got, @rest) });
    return drive($app, http_scope(defined $header ? (add_headers => [ [ cookie => $header ] ]) : ()));
}

with(sub ($jar) { }, 'a=1; b="two"; c=caf%C3%A9; a=again; malformed; d=x=y');
is($scope->{'pagi.cookies'}, { a => 1, b => 'two', c => "caf\xc3\xa9", d => 'x=y' }, 'parsed: decoded, unquoted, first wins');
with(sub ($jar) { }, undef);
is($scope->{'pagi.cookies'}, {}, 'no header');
isa_ok($scope->{'pagi.cookie_jar'}, 'PAGI::Middleware::Cookie::Jar');

sub cookies ($code, %config) { return [ with($code, undef, %config)->header_all('Set-Cookie') ] }
is(cookies(sub ($jar) { }), [], 'an empty jar adds nothing');
is(cookies(sub ($jar) { $jar->set(x => 'y z;') }), ['x=y%20z%3B; path=/'], 'encoded, path /');
is(cookies(sub ($jar) { $jar->set(x => 'y', domain => 'ex.com', path => '/p', expires => 1700000000, max_age => 60, samesite => 'Lax', secure => 1, httponly => 1) }),
    ['x=y; domain=ex.com; path=/p; expires=Tue, 14-Nov-2023 22:13:20 GMT; max-age=60; SameSite=Lax; secure; HttpOnly'], 'all attributes');
is(cookies(sub ($jar) { $jar->set(b => 1)->set(a => 2); $jar->set(b => 3) }), [ 'b=1; path=/', 'a=2; path=/', 'b=3; path=/' ], 'call order');
is(cookies(sub ($jar) { $jar->delete('old', path => '/p', domain => 'ex.com') }), ['old=; domain=ex.com; path=/p; expires=Thu, 01-Jan-1970 00:00:00 GMT'], 'delete');
is(cookies(sub ($jar) { $jar->set(n => undef) }), ['n=; path=/'], 'undef is empty');
like(cookies(sub ($jar) { $jar->set(x => 1, expires => '+1h') })->[0], qr/expires=\w{3}, \d\d-\w{3}-\d{4} \d\d:\d\d:\d\d GMT/, 'relative expiry');

my %defaults = (httponly => 1, samesite => 'Lax', secure => 1);
is(cookies(sub ($jar) { $jar->set(x => 1); $jar->set(y => 1, secure => 0, samesite => 'Strict') }, cookie_defaults => \%defaults),
    [ 'x=1; path=/; SameSite=Lax; secure; HttpOnly', 'y=1; path=/; SameSite=Strict; HttpOnly' ], 'defaults and exceptions');

my $late = PAGI::Middleware::Cookie->new->wrap(sub ($got, $receive, $send) {
    return hello_app()->($got, $receive, $send)->on_done(sub { $got->{'pagi.cookie_jar'}->set(late => 1) });
});
is([ drive($late, http_scope())->header_all('Set-Cookie') ], [], 'after the start it is too late');

my @constant = ([ 'a', 'b' ]);
my $app = PAGI::Middleware::Cookie->new->wrap(sub ($got, @rest) { $got->{'pagi.cookie_jar'}->set(x => 1); respond_app(200, \@constant, '')->($got, @rest) });
is([ map { scalar(drive($app, http_scope())->header_all('Set-Cookie')) } 1, 2 ], [ 1, 1 ], 'a constant header array does not collect cookies');

done_testing;
