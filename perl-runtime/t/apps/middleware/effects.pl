use strict;
use warnings;
use Cwd            ();
use Digest::SHA    qw(hmac_sha256);
use File::Basename ();
use Future;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use MIME::Base64  ();
use PAGI::Middleware::Builder;

# What t/middleware/effects.t asks for: each middleware at a place of its own, doing what it is for. The application tells what
# reached it.

my $here = Cwd::abs_path(File::Basename::dirname(__FILE__));
my $json = JSON::MaybeXS->new(utf8 => 1, canonical => 1, allow_nonref => 1);
my (@lines, @errors);
my $down = 0;

my $told = async sub {
    my ($scope, $receive, $send) = @_;
    if ($scope->{type} eq 'sse') {
        await $send->({ type => 'sse.start' });
        await $send->({ type => 'sse.send', data => $json->encode({ auth => $scope->{'pagi.auth'}{username}, session => $scope->{'pagi.session'}{n}, client => $scope->{client}[0] }) });
        await $send->({ type => 'sse.close' });
        return;
    }
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    die "told to die\n" if $scope->{path} eq '/die';
    $scope->{'pagi.cookie_jar'}->set(from_jar => "a b;", httponly => 1) if $scope->{'pagi.cookie_jar'};
    $scope->{'pagi.session'}{n}++ if $scope->{'pagi.session'};
    my $event = await $receive->();
    my %seen = (
        method => $scope->{method}, original_method => $scope->{original_method}, path => $scope->{path}, original_path => $scope->{original_path},
        client => $scope->{client}[0], scheme => $scope->{scheme}, request_id => $scope->{request_id}, auth => $scope->{'pagi.auth'}, csrf => $scope->{csrf_token},
        cookies => $scope->{'pagi.cookies'}, parsed => $scope->{'pagi.parsed_body'}, raw => $scope->{'pagi.raw_body'}, body => $event->{body},
        preferred => $scope->{'pagi.preferred_content_type'}, session => $scope->{'pagi.session'}{n}, root => $scope->{root_path},
    );
    my $type = $scope->{path} eq '/html' ? 'text/html' : 'application/json';
    my $body = $scope->{path} eq '/html' ? '<html><body>' . 'page ' x 400 . '</body></html>' : $json->encode({ map { defined $seen{$_} ? ($_ => $seen{$_}) : () } keys %seen });
    await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', $type ], [ 'last-modified', 'Sun, 06 Nov 1994 08:49:37 GMT' ] ] });
    await $send->({ type => 'http.response.body', body => $body });
};
my $notes = async sub {
    my ($scope, $receive, $send) = @_;
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', body => $json->encode({ lines => [ splice @lines ], errors => [ splice @errors ] }) });
};
my $jwt = sub {
    my ($claims, $key) = @_;
    my $text = join '.', map { MIME::Base64::encode_base64url($_) } '{"alg":"HS256"}', $json->encode($claims);
    return "$text." . MIME::Base64::encode_base64url(hmac_sha256($text, $key));
};
my $tokens = async sub {
    my ($scope, $receive, $send) = @_;
    await $send->({ type => 'http.response.start', status => 200, headers => [] });
    await $send->({ type => 'http.response.body', body => $json->encode({ good => $jwt->({ sub => 'ann' }, 'key'), old => $jwt->({ exp => 1 }, 'key'), forged => $jwt->({ sub => 'ann' }, 'other') }) });
};

my %place = (
    accesslog    => [ [ 'AccessLog', format => 'tiny', logger => sub { push @lines, @_ } ] ],
    basic        => [ [ 'Auth::Basic', realm => 'Back', authenticator => sub { Future->done($_[0] eq 'ann' && $_[1] eq 'pw') } ] ],
    bearer       => [ [ 'Auth::Bearer', secret => 'key' ] ],
    cors         => [ [ 'CORS', origins => ['https://a.example'], credentials => 1 ] ],
    csrf         => [ [ 'CSRF', secret => 's' ] ],
    conditional  => [ ['ConditionalGet'], ['ETag'] ],
    negotiation  => [ [ 'ContentNegotiation', supported_types => [ 'application/json', 'text/html' ], strict => 1 ] ],
    length       => [ ['ContentLength'] ],
    cookie       => [ ['Cookie'] ],
    debug        => [ [ 'Debug', enabled => 1 ] ],
    errors       => [ [ 'ErrorHandler', content_type => 'application/json', on_error => sub { push @errors, @_ } ] ],
    form         => [ [ 'FormBody', max_size => 50 ] ],
    gzip         => [ ['GZip'] ],
    https        => [ [ 'HTTPSRedirect', exclude => ['/open'] ] ],
    head         => [ ['Head'], ['ContentLength'] ],
    health       => [ [ 'Healthcheck', live_path => '/live', checks => { disk => sub { !$down }, db => sub { Future->done(1) } } ] ],
    json         => [ [ 'JSONBody', max_size => 50 ] ],
    maintenance  => [ [ 'Maintenance', enabled => 1, retry_after => 30, bypass_paths => ['/open'] ] ],
    override     => [ ['MethodOverride'] ],
    rate         => [ [ 'RateLimit', requests_per_second => 0.001, burst => 2 ] ],
    requestid    => [ [ 'RequestId', trust_incoming => 1 ] ],
    proxy        => [ ['ReverseProxy'] ],
    rewrite      => [ [ 'Rewrite', rules => [ { from => qr{^/u/(\d+)$}, to => '/users/$1' } ] ] ],
    redirect     => [ [ 'Rewrite', redirect => 1, redirect_code => 308, rules => [ { from => '/old', to => '/new' } ] ] ],
    runtime      => [ [ 'Runtime', precision => 3 ] ],
    security     => [ [ 'SecurityHeaders', content_security_policy => "default-src 'self'", x_xss_protection => undef ] ],
    session      => [ [ 'Session', secret => 's', cookie_name => 'sid' ] ],
    static       => [ [ 'Static', root => $here, pass_through => 1 ] ],
    hosts        => [ [ 'TrustedHosts', hosts => [ 'testserver', '*.example.org' ] ] ],
    xsendfile    => [ [ 'XSendfile', type => 'X-Accel-Redirect', mapping => { $here => '/files' } ], [ 'Static', root => $here ] ],
);

builder {
    for my $name (sort keys %place) {
        my $builder = PAGI::Middleware::Builder->new;
        $builder->add_middleware(@$_) for @{ $place{$name} };
        mount "/$name" => $builder->to_app($told);
    }
    mount '/notes'  => $notes;
    mount '/tokens' => $tokens;
    $told;
};
