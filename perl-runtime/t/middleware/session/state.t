use strict;
use warnings;
use experimental 'signatures';
use Test2::V0;
use PAGI::Middleware::Session::State;
use PAGI::Middleware::Session::State::Bearer;
use PAGI::Middleware::Session::State::Callback;
use PAGI::Middleware::Session::State::Cookie;
use PAGI::Middleware::Session::State::Header;

my $S = 'PAGI::Middleware::Session::State';
sub scope (@headers) { return { type => 'http', headers => \@headers } }
sub injected ($state, $id = 'abc', $options = {}) { my @h = ([ 'x', 'y' ]); $state->inject(\@h, $id, $options); return $h[1] && $h[1][1] }
sub cleared ($state) { my @h; $state->clear(\@h); return $h[0] && $h[0][1] }

subtest 'base' => sub {
    my $state = $S->new(a => 1);
    is($state->{a}, 1, 'options on the object');
    like(dies { $state->extract({}) }, qr/^PAGI::Middleware::Session::State must implement extract\(\)/, 'extract');
    like(dies { $state->inject([], 'x', {}) }, qr/must implement inject\(\)/, 'inject');
    is(cleared($state), undef, 'clear does nothing');
};

subtest 'Cookie' => sub {
    my $state = "${S}::Cookie"->new;
    is($state->{cookie_name}, 'pagi_session', 'default name');
    is(injected($state), 'pagi_session=abc; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600', 'inject appends');
    is(cleared($state), 'pagi_session=; Path=/; Max-Age=0; HttpOnly', 'clear');

    my %extract = ('pagi_session=abc' => 'abc', 'a=b; pagi_session=abc; c=d' => 'abc', ' pagi_session = abc ;x' => 'abc',
        'pagi_session=one; pagi_session=two' => 'two', 'pagi_session="q%20"' => '"q%20"', 'pagi_session=a=b' => 'a=b',
        'xpagi_session=no' => undef, 'pagi_session' => undef, 'pagi_session=' => '', '' => undef);
    is($state->extract(scope([ 'Cookie', $_ ])), $extract{$_}, "'$_'") for sort keys %extract;
    is($state->extract(scope()), undef, 'no header');
    is($state->extract({ type => 'http' }), undef, 'no headers');
    is($state->extract(scope([ cookie => 'a=b' ], [ cookie => 'pagi_session=abc' ])), undef, 'first header only');

    my $own = "${S}::Cookie"->new(cookie_name => 'sid', expire => 60, cookie_options => { secure => 1, samesite => 'Strict', path => '/app', domain => 'example.org' });
    is(injected($own), 'sid=abc; Path=/app; Domain=example.org; Secure; SameSite=Strict; Max-Age=60', 'own options replace all');
    is(cleared($own), 'sid=; Path=/app; Domain=example.org; Max-Age=0', 'also for clear');
    is(injected("${S}::Cookie"->new(expire => 0)), 'pagi_session=abc; Path=/; HttpOnly; SameSite=Lax', 'no Max-Age with expire 0');
    is(injected("${S}::Cookie"->new(cookie_options => {})), 'pagi_session=abc; Path=/; Max-Age=3600', 'Path is always there');

    is(injected($state, 'abc', { secure => 1 }), 'pagi_session=abc; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=3600', 'Secure over https');
    unlike(injected("${S}::Cookie"->new(cookie_options => { secure => 0 }), 'abc', { secure => 1 }), qr/Secure/, 'unless switched off');
};

subtest 'Header' => sub {
    like(dies { "${S}::Header"->new }, qr/^header_name is required for PAGI::Middleware::Session::State::Header/, 'required');
    my $plain = "${S}::Header"->new(header_name => 'X-Session-ID');
    is($plain->extract(scope([ 'x-session-id', 'abc' ])), 'abc', 'value');
    is($plain->extract(scope([ 'X-SESSION-ID', 'abc' ])), 'abc', 'without case');
    is($plain->extract(scope()), undef, 'missing');
    is([ injected($plain), cleared($plain) ], [ undef, undef ], 'nothing is injected or cleared');
    my $pattern = "${S}::Header"->new(header_name => 'X-S', pattern => qr/^id:(\w+)$/);
    is([ map { $pattern->extract(scope([ 'x-s', $_ ])) } 'id:abc', 'abc' ], [ 'abc', undef ], 'pattern');
};

subtest 'Bearer' => sub {
    my $state = "${S}::Bearer"->new;
    is($state->extract(scope([ authorization => 'Bearer abc.def' ])), 'abc.def', 'token');
    is($state->extract(scope([ authorization => 'bearer  abc' ])), 'abc', 'without case');
    is($state->extract(scope([ authorization => 'Basic abc' ])), undef, 'not Basic');
    is($state->extract(scope()), undef, 'missing');
    isa_ok($state, "${S}::Header");
};

subtest 'Callback' => sub {
    my $C = "${S}::Callback";
    like(dies { $C->new }, qr/^extract is required for \Q$C\E/, 'required');
    like(dies { $C->new(extract => 'x') }, qr/^extract must be a CODE ref for \Q$C\E/, 'a coderef');
    like(dies { $C->new(extract => sub { }, clear => 1) }, qr/^clear must be a CODE ref/, 'the others too');
    my @got;
    my $state = $C->new(extract => sub { @got = @_; 'id' }, inject => sub { @got = @_ }, clear => sub { @got = @_ });
    my ($scope, $headers, $options) = (scope(), [], {});
    is($state->extract($scope), 'id', 'value returned');
    ref_is($got[0], $scope, 'gets the scope');
    $state->inject($headers, 'abc', $options);
    ref_is($got[0], $headers, 'inject: the headers');
    is($got[1], 'abc', 'the id');
    ref_is($got[2], $options, 'the options');
    $state->clear($headers);
    ref_is($got[0], $headers, 'clear: the headers');
    is([ injected($C->new(extract => sub { })), cleared($C->new(extract => sub { })) ], [ undef, undef ], 'default: nothing');
};

done_testing;
