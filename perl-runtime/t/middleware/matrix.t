use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Every qw(%CONFIG);
use File::Temp ();
use Future;
use Future::AsyncAwait;
use Storable ();
use PAGI::Middleware::Builder;

# Every middleware, configured so that it lets a request through, against every kind
# of exchange: whatever it adds, the exchange itself must arrive whole and in order.

my $tmp = File::Temp->new;
print {$tmp} '0123456789' x 10;
$tmp->flush;
my $path = "$tmp";
my @CONSTANT = ([ 'content-type', 'text/plain' ], [ 'x-mark', 'kept' ]);

async sub start ($send, %more) {
    await $send->({ type => 'http.response.start', status => 201, headers => \@CONSTANT, %more });
}
async sub chunk ($send, $body, $more) {
    await $send->({ type => 'http.response.body', body => $body, more => $more });
}

sub http_ok ($r, $body) {
    is($r->error, undef, 'no error');
    is($r->status, 201, 'status');
    is($r->header('x-mark'), 'kept', 'headers');
    is($r->body, $body, 'body');
    is($r->phase, 'done', 'response complete');
}

my @SCENARIOS = (
    {
        name => 'simple response', scope => \&http_scope,
        app => async sub ($scope, $receive, $send) { await start($send); await chunk($send, 'hello', 0) },
        check => sub ($r) { http_ok($r, 'hello') },
    },
    {
        name => 'streamed response', scope => \&http_scope,
        app => async sub ($scope, $receive, $send) {
            await start($send);
            await chunk($send, 'one ', 1);
            await chunk($send, 'two ', 1);
            await chunk($send, 'three', 0);
        },
        check => sub ($r) {
            http_ok($r, 'one two three');
            is(scalar(grep { $_->{type} eq 'http.response.body' } $r->events), 3, 'chunk by chunk');
        },
    },
    {
        name => 'file response', scope => \&http_scope,
        app => async sub ($scope, $receive, $send) {
            await start($send);
            await $send->({ type => 'http.response.body', file => $path, offset => 5, length => 20 });
        },
        check => sub ($r) {
            http_ok($r, '56789012345678901234');
            is(($r->events)[-1]{file}, $path, 'left to the server');
        },
    },
    {
        name => 'fh response', scope => \&http_scope,
        app => async sub ($scope, $receive, $send) {
            await start($send);
            open my $fh, '<', $path or die $!;
            await $send->({ type => 'http.response.body', fh => $fh });
        },
        check => sub ($r) { http_ok($r, '0123456789' x 10) },
    },
    {
        name => 'trailers', scope => \&http_scope,
        app => async sub ($scope, $receive, $send) {
            await start($send, trailers => 1);
            await chunk($send, 'body', 0);
            await $send->({ type => 'http.response.trailers', headers => [ [ 'x-sum', '1' ] ] });
        },
        check => sub ($r) {
            http_ok($r, 'body');
            is(($r->events)[-1]{type}, 'http.response.trailers', 'trailers come last');
        },
    },
    {
        name => 'fullflush before the body', scope => sub (@o) { http_scope(extensions => { fullflush => {} }, @o) },
        app => async sub ($scope, $receive, $send) {
            await start($send);
            await $send->({ type => 'http.fullflush' });
            await chunk($send, 'x', 0);
        },
        check => sub ($r) { http_ok($r, 'x') },
    },
    {
        name => 'HEAD', scope => sub (@o) { http_scope(method => 'HEAD', @o) },
        app => async sub ($scope, $receive, $send) {
            await $send->({ type => 'http.response.start', status => 201, headers => [ @CONSTANT, [ 'content-length', 5 ] ] });
            await chunk($send, $scope->{method} eq 'HEAD' ? '' : 'hello', 0);
        },
        check => sub ($r) {
            http_ok($r, '');
            is([ $r->header_all('content-length') ], [5], 'the length of the GET, once');
        },
    },
    {
        name => 'request body and disconnect', scope => sub (@o) { http_scope(method => 'GET', @o) },
        receive => [ { type => 'http.request', body => 'half', more => 1 } ],
        app => async sub ($scope, $receive, $send) {
            my @types;
            for my $turn (1 .. 3) { my $event = await $receive->(); push @types, $event->{type} }
            $scope->{state}{types} = \@types;
            await start($send);
            await chunk($send, '', 0);
        },
        check => sub ($r) {
            is($r->{scope}{state}{types}, [qw(http.request http.disconnect http.disconnect)], 'what the server says arrives');
        },
    },
    {
        name => 'response without any event', scope => \&http_scope,
        app => async sub ($scope, $receive, $send) { return },
        check => sub ($r) { is([ $r->events ], [], 'nothing is made up') },
    },
    {
        name => 'start without body', scope => \&http_scope,
        app => async sub ($scope, $receive, $send) { await start($send) },
        check => sub ($r) { is($r->types, ['http.response.start'], 'the start goes out, incomplete as it is') },
    },
    {
        name => 'exception before the start', scope => \&http_scope, errors => 1,
        app => async sub ($scope, $receive, $send) { die "boom\n" },
        check => sub ($r) { like($r->error, qr/^boom$/m, 'passed on'); is([ $r->events ], [], 'nothing sent') },
        handler => sub ($r) { is($r->error, undef, 'handled'); is($r->status, 500, 'error page') },
    },
    {
        name => 'exception after a pending receive', scope => \&http_scope, errors => 1,
        app => async sub ($scope, $receive, $send) { await $receive->(); die { code => 42 } },
        check => sub ($r) { is($r->error, { code => 42 }, 'objects stay objects') },
        handler => sub ($r) { is($r->status, 500, 'error page') },
    },
    {
        name => 'plain sub that dies', scope => \&http_scope, errors => 1,
        app => sub { die "sync\n" },
        check => sub ($r) { like($r->error, qr/^sync$/m, 'passed on') },
        handler => sub ($r) { is($r->status, 500, 'error page') },
    },
    {
        name => 'exception while streaming', scope => \&http_scope, errors => 1,
        app => async sub ($scope, $receive, $send) { await start($send); await chunk($send, 'part', 1); die "late\n" },
        check => sub ($r) { like($r->error, qr/^late$/m, 'passed on'); is($r->body, 'part', 'what was sent stays') },
        handler => sub ($r) { is($r->error, undef, 'swallowed with a warning'); is($r->body, 'part', 'no page is added') },
    },
    {
        name => 'rejected event, corrected', scope => \&http_scope, rejects => 1,
        app => async sub ($scope, $receive, $send) {
            await start($send);
            my $refused = !eval { await chunk($send, "\x{263a}", 1); 1 };
            $scope->{state}{refused} = $refused;
            await chunk($send, 'fine', 0);
        },
        check => sub ($r) { http_ok($r, 'fine'); ok($r->{scope}{state}{refused}, 'the application hears of it') },
        except => { 'Debug' => 1 },    # collects plain text only in HTML; see debug.t
    },
    {
        name => 'event that is not a hash', scope => \&http_scope, rejects => 1,
        app => async sub ($scope, $receive, $send) {
            my $refused = !eval { await $send->('nonsense'); 1 };
            await start($send);
            await chunk($send, $refused ? 'refused' : 'taken', 0);
        },
        check => sub ($r) { http_ok($r, 'refused') },
    },
    {
        name => 'websocket echo', scope => \&ws_scope,
        receive => [ { type => 'websocket.connect' }, { type => 'websocket.receive', text => "h\x{e9}" }, { type => 'websocket.receive', bytes => "\xff" } ],
        app => async sub ($scope, $receive, $send) {
            await $receive->();
            await $send->({ type => 'websocket.accept', headers => [ [ 'x-mark', 'kept' ] ] });
            while (1) {
                my $event = await $receive->();
                last if $event->{type} eq 'websocket.disconnect';
                await $send->({ %$event, type => 'websocket.send' });
            }
            die "disconnected\n" if $scope->{path} eq '/die';
        },
        check => sub ($r) {
            is($r->error, undef, 'no error');
            my @sent = grep { $_->{type} eq 'websocket.send' } $r->events;
            is(\@sent, [ { type => 'websocket.send', text => "h\x{e9}" }, { type => 'websocket.send', bytes => "\xff" } ], 'echoed');
        },
    },
    {
        name => 'websocket denial', scope => \&ws_scope,
        app => async sub ($scope, $receive, $send) {
            await $send->({ type => 'websocket.http.response.start', status => 401, headers => [] });
            await $send->({ type => 'websocket.http.response.body', body => 'no', more => 0 });
        },
        check => sub ($r) { is([ $r->status, $r->body ], [ 401, 'no' ], 'denied as the application said') },
    },
    {
        name => 'websocket exception', scope => \&ws_scope, errors => 1,
        app => async sub ($scope, $receive, $send) { await $receive->(); die "ws boom\n" },
        check => sub ($r) { like($r->error, qr/^ws boom$/m, 'passed on to the server') },
    },
    {
        name => 'event stream', scope => \&sse_scope,
        app => async sub ($scope, $receive, $send) {
            await $receive->();
            await $send->({ type => 'sse.start', headers => [ [ 'x-mark', 'kept' ] ] });
            await $send->({ type => 'sse.send', data => "one\ntwo", id => 1 });
            await $send->({ type => 'sse.comment', comment => 'c' });
            await $send->({ type => 'sse.close' });
        },
        check => sub ($r) {
            is($r->error, undef, 'no error');
            is($r->header('x-mark'), 'kept', 'headers');
            my @sent = grep { $_->{type} eq 'sse.send' } $r->events;
            is(\@sent, [ { type => 'sse.send', data => "one\ntwo", id => 1 } ], 'event unchanged');
            is($r->types->[-1], 'sse.close', 'to the end');
        },
    },
    {
        name => 'event stream declined', scope => \&sse_scope,
        app => async sub ($scope, $receive, $send) {
            await $send->({ type => 'sse.http.response.start', status => 404, headers => [] });
            await $send->({ type => 'sse.http.response.body', body => 'gone', more => 0 });
        },
        check => sub ($r) { is([ $r->status, $r->body ], [ 404, 'gone' ], 'declined as the application said') },
    },
    {
        name => 'event stream exception', scope => \&sse_scope, errors => 1,
        app => async sub ($scope, $receive, $send) { await $send->({ type => 'sse.start' }); die "sse boom\n" },
        check => sub ($r) { like($r->error, qr/^sse boom$/m, 'passed on to the server') },
    },
    {
        name => 'lifespan', scope => sub (@) { return { type => 'lifespan', state => {}, pagi => { version => '0.5' } } },
        app => async sub ($scope, $receive, $send) {
            my $event = await $receive->();
            $scope->{state}{ready} = 1;
            await $send->({ type => 'lifespan.startup.complete' });
        },
        check => sub ($r) { is($r->types, ['lifespan.startup.complete'], 'untouched'); ok($r->{scope}{state}{ready}, 'state shared') },
    },
);

for my $name (sort keys %CONFIG) {
    subtest $name => sub {
        my %config = %{ $CONFIG{$name} };
        my $headers = delete $config{-headers};
        for my $scenario (@SCENARIOS) {
            next if $scenario->{except}{$name};
            for my $slow (0, 1) {
                subtest "$scenario->{name}, " . ($slow ? 'pending sends' : 'immediate sends') => sub {
                    my $builder = PAGI::Middleware::Builder->new->add_middleware($name, %config);
                    my $app = $builder->to_app($scenario->{app});
                    my $scope = $scenario->{scope}->($headers ? (add_headers => $headers) : ());
                    my %before = %{ Storable::dclone({ map { $_ => $scope->{$_} } grep { $_ ne 'state' } keys %$scope }) };
                    my $result;
                    my $warnings = warns {
                        $result = drive($app, $scope, slow => $slow, receive => $scenario->{receive});
                    };
                    my $handled = $name eq 'ErrorHandler' && $scenario->{handler};
                    ($handled ? $scenario->{handler} : $scenario->{check})->($result);
                    is($result->rejected, [], 'only valid events') unless $scenario->{rejects};
                    is({ map { $_ => $scope->{$_} } grep { $_ ne 'state' } keys %$scope }, \%before, 'the scope is not changed');
                    is(\@CONSTANT, [ [ 'content-type', 'text/plain' ], [ 'x-mark', 'kept' ] ], 'nor the header array of the application');
                    ok($result->{future} ? $result->future->is_ready : defined $result->error, 'finished');
                    is($warnings, 0, 'no warnings') unless $handled;
                };
            }
        }
    };
}

done_testing;
