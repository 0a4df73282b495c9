use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Future::AsyncAwait;
use PAGI::Middleware::AccessLog;
use PAGI::Middleware::Builder;
use PAGI::Middleware::RequestId;
use PAGI::Middleware::Runtime;

subtest 'AccessLog' => sub {
    my @lines;
    my $logged = sub ($format, $inner, %over) {
        @lines = ();
        my $mw = PAGI::Middleware::AccessLog->new(logger => sub { push @lines, @_ }, (defined $format ? (format => $format) : ()));
        return drive($mw->wrap($inner), http_scope(
            path => '/page', query_string => 'a=1', client => [ '192.0.2.7', 5 ],
            add_headers => [ [ referer => 'http://from/' ], [ 'user-agent' => 'Agent/1.0' ] ], %over));
    };
    my $stamp = qr{\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]};

    $logged->(undef, hello_app());
    is(scalar @lines, 1, 'one line');
    like($lines[0], qr{\A192\.0\.2\.7 - - $stamp "GET /page\?a=1 HTTP/1\.1" 200 13 "http://from/" "Agent/1\.0" \d\.\d{3}s\n\z}, 'combined');
    $logged->('common', hello_app());
    like($lines[0], qr{\A192\.0\.2\.7 - - $stamp "GET /page\?a=1 HTTP/1\.1" 200 13\n\z}, 'common');
    $logged->('tiny', hello_app());
    like($lines[0], qr{\AGET /page\?a=1 200 \d+\.\d{3}s\n\z}, 'tiny');

    $logged->('combined', hello_app(), query_string => '', client => undef, headers => [], add_headers => [], http_version => '2');
    like($lines[0], qr{\A- - - $stamp "GET /page HTTP/2" 200 13 "-" "-" }, 'missing values');

    is($logged->('tiny', async sub { die "broken\n" })->error, "broken\n", 'the error goes on');
    like($lines[0], qr/ 500 /, 'as 500');
    $logged->('tiny', async sub ($scope, $receive, $send) { });
    like($lines[0], qr/ 0 /, 'no response: 0');
    $logged->('tiny', async sub ($scope, $receive, $send) {
        await $send->({ type => 'http.response.start', status => 202, headers => [] });
        die "late\n";
    });
    like($lines[0], qr/ 202 /, 'the status that was sent');

    $logged->('combined', hello_app(), path => "/a\nb\"c\\\x{263a}", query_string => "x=\"\r",
        add_headers => [ [ 'user-agent', "evil\" 200\x1b[2J" ] ]);
    is($lines[0] =~ tr/\n//, 1, 'nothing from the client can begin a line');
    like($lines[0], qr{"GET /a\\x0Ab\\x22c\\x5C\xe2\x98\xba\?x=\\x22\\x0D HTTP/1\.1"}, 'or end a field');
    like($lines[0], qr/"evil\\x22 200\\x1B\[2J"/, 'or reach the terminal');

    like(warning { drive(PAGI::Middleware::AccessLog->new->wrap(hello_app()), http_scope()) }, qr/"GET \/ HTTP/, 'warns by default');

    @lines = ();
    my $mw = PAGI::Middleware::AccessLog->new(logger => sub { push @lines, @_ });
    drive($mw->wrap(async sub ($scope, $receive, $send) { await $send->({ type => 'websocket.close' }) }), ws_scope());
    is(\@lines, [], 'a websocket is not logged');

    my @both;
    my $outside = builder {
        enable 'AccessLog', format => 'tiny', logger => sub { push @both, @_ };
        enable 'ErrorHandler';
        async sub { die "x\n" };
    };
    drive($outside, http_scope());
    like($both[0], qr/ 500 /, 'outside ErrorHandler: the status of the page');
};

subtest 'RequestId' => sub {
    my $format = qr/\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z/;
    my $seen;
    my $run = sub ($config, %over) {
        my $app = PAGI::Middleware::RequestId->new(%$config)->wrap(sub ($scope, @rest) { $seen = $scope->{request_id}; hello_app()->($scope, @rest) });
        return drive($app, http_scope(%over));
    };
    my $result = $run->({});
    like($seen, $format, 'format');
    is([ $result->header_all('X-Request-ID') ], [$seen], 'scope and header agree, one header');
    is((grep { $_->[0] eq 'X-Request-ID' } $result->headers)[0][1], $seen, 'exact letter case');

    my %ids = map { $run->({}); $seen => 1 } 1 .. 100;
    is(scalar keys %ids, 100, '100 unique ids');
    my $mw = PAGI::Middleware::RequestId->new;
    like($mw->{generator}->(undef), $format, 'the generator is within reach');

    my @from_children = map {
        my $pid = open(my $out, '-|') // die "fork: $!";
        if (!$pid) { print $mw->{generator}->(undef); close STDOUT; require POSIX; POSIX::_exit(0) }
        my $id = <$out>;
        waitpid $pid, 0;
        (split /-/, $id)[3];
    } 1, 2;
    isnt($from_children[0], $from_children[1], 'forked workers draw their own random bytes');

    $run->({}, add_headers => [ [ 'x-request-id', 'mine' ] ]);
    isnt($seen, 'mine', 'incoming ids are not trusted by default');
    $run->({ trust_incoming => 1 }, add_headers => [ [ 'X-Request-Id', 'mine' ], [ 'x-request-id', 'second' ] ]);
    is($seen, 'mine', 'trust_incoming takes the first');
    $run->({ trust_incoming => 1 });
    like($seen, $format, 'and makes one if there is none');
    for my $bad ("a\tb", "a\x7f", '', 'x' x 201, "caf\xe9") {
        $run->({ trust_incoming => 1 }, add_headers => [ [ 'x-request-id', $bad ] ]);
        like($seen, $format, 'an unprintable or endless id is replaced');
    }

    my $custom = $run->({ header => 'X-Trace', generator => sub ($scope) { "for $scope->{path}" } });
    is($custom->header('X-Trace'), 'for /', 'own header and generator');

    my $both = drive(PAGI::Middleware::RequestId->new->wrap(respond_app(200, [ [ 'X-Request-ID', 'app' ] ], '')), http_scope());
    is(scalar($both->header_all('x-request-id')), 2, "the application's own header stays");

    my @constant = ([ 'a', 'b' ]);
    my $app = PAGI::Middleware::RequestId->new->wrap(respond_app(200, \@constant, ''));
    drive($app, http_scope()) for 1 .. 3;
    is(scalar @constant, 1, 'a constant header array does not grow');
};

subtest 'Runtime' => sub {
    my $run = sub (%config) { drive(PAGI::Middleware::Runtime->new(%config)->wrap(hello_app()), http_scope()) };
    like($run->()->header('X-Runtime'), qr/\A\d+\.\d{6}\z/, 'six decimals');
    like($run->(header => 'X-Took', precision => 3)->header('X-Took'), qr/\A\d+\.\d{3}\z/, 'own header, three decimals');
    like(dies { PAGI::Middleware::Runtime->new(precision => 'many') }, qr/'precision' must be a number of decimals, got 'many'/, 'checked');

    my $page = drive(builder { enable 'Runtime'; enable 'RequestId'; enable 'ErrorHandler'; async sub { die "x\n" } }, http_scope());
    ok(defined $page->header($_), "error pages have $_ when it is outside") for qw(X-Runtime X-Request-ID);
};

subtest 'websockets are untouched' => sub {
    for my $class (qw(RequestId Runtime)) {
        my $scope = ws_scope();
        my @got;
        my $app = "PAGI::Middleware::$class"->new->wrap(sub { @got = @_; Future->done });
        my ($receive, $send) = (sub { }, sub { });
        $app->($scope, $receive, $send)->get;
        ref_is($got[0], $scope, "$class: the same scope");
        ref_is($got[2], $send, "$class: the same send");
    }
};

done_testing;
