use v5.36;
use lib 't/lib';
use Test2::V0;
use File::Temp ();
use PAGITest::Backends qw(each_backend);

# The listings of the public introduction, unmodified, in-process and on four workers: whoever is connected to one of them is
# reached from every other.

my $WORKERS = 4;

sub listing ($name, $test) {
    subtest $name => sub {
        my $census = File::Temp->new;
        my $workers = sub ($type) {
            open my $in, '<', "$census" or die $!;
            my %pid = map { /\A\Q$type\E ([0-9]+)/ ? ($1 => 1) : () } <$in>;
            return scalar keys %pid;
        };
        each_backend('t/simple/apps/article.pl', sub ($client, $backend) {
            truncate "$census", 0 or die $!;
            # opens connections until every worker has one: which takes a connection is left to chance, and on a busy machine
            # one of them may take many
            my $everywhere = sub ($type, $open) {
                my $wanted = $backend eq 'server' ? $WORKERS : 1;
                my $deadline = time + 60;
                my @open;
                while (time < $deadline) {
                    push @open, $open->();
                    last if @open >= 4 && $workers->($type) >= $wanted;
                    last if $type ne 'http' && @open >= 400;    # these stay open
                }
                is $workers->($type), $wanted, "$type connections on $wanted workers (" . @open . ' in all)';
                return @open;
            };
            $test->($client, $backend eq 'server' ? 20 : undef, $everywhere);
        }, server_args => [ '--workers', $WORKERS ], env => { ARTICLE_LISTING => $name, ARTICLE_CENSUS => "$census" });
    };
    return;
}

listing hello => sub ($client, $wait, $everywhere) {
    my @answers = $everywhere->(http => sub { $client->get('/')->text });
    is [ grep { $_ ne 'Hello, World!' } @answers ], [], 'text';
    is $client->get('/users/42')->json, { id => 42, name => 'User 42' }, 'a capture, JSON';
    my @made = $everywhere->(http => sub { $client->post('/users', json => { name => "\x{263a}" }) });
    is [ $_->status, $_->json ], [ 201, { created => { name => "\x{263a}" } } ], 'json_body in a plain sub' for @made;
};

listing chat => sub ($client, $wait, $everywhere) {
    my @chat = $everywhere->(websocket => sub { my $ws = $client->websocket('/chat'); $ws->receive_text($wait); return $ws });
    for my $i (0, $#chat) {
        $chat[$i]->send_text("message $i \x{263a}");
        is [ map { $_->receive_text($wait) } @chat ], [ ("message $i \x{263a}") x @chat ], 'a broadcast reaches everybody, once';
    }
    (pop @chat)->close;
    is [ map { $_->receive_text($wait) } @chat ], [ ('Somebody left') x @chat ], 'so does one from on(close)';

    my $room = sub ($name) { return map { $client->websocket("/rooms/$name") } 1 .. 8 };
    my ($red, $blue) = ([ $room->('red') ], [ $room->('blue') ]);
    # a broadcast to oneself comes back when the room knows the member: nobody is asked before that
    for my $member (@$red, @$blue) {
        $member->send_text('here');
        my $text = $member->receive_text($wait);
        $text = $member->receive_text($wait) until $text =~ /here\z/;
    }
    $red->[0]->send_text('only red');
    for my $member (@$red) {
        my $text = 'none';
        $text = $member->receive_text($wait) until !defined $text || $text eq 'red: only red';
        is $text, 'red: only red', 'a room is one room on all workers';
    }
    $blue->[0]->send_text('only blue');
    for my $member (@$blue) {
        my @texts;
        push @texts, $member->receive_text($wait) until @texts && $texts[-1] eq 'blue: only blue';
        is [ grep { /red/ } @texts ], [], 'and hears nothing of another';
    }
};

listing dashboard => sub ($client, $wait, $everywhere) {
    my @wait = $wait ? (timeout => $wait) : ();
    my @streams = $everywhere->(sse => sub {
        my $sse = $client->sse('/events');
        is $sse->receive_json(@wait), { status => 'connected' }, 'on(connect), send with a hashref';
        return $sse;
    });
    is $client->post('/metrics', json => { cpu => $_ })->json, { ok => 1 }, 'published' for 1 .. 3;
    for my $sse (@streams) {
        # by three publishers, each in its own time
        is [ sort map { $sse->receive_json(@wait)->{cpu} } 1 .. 3 ], [ 1 .. 3 ], 'every stream has every number, once';
    }
};

listing features => sub ($client, $wait, $everywhere) {
    my @visits = $everywhere->(http => sub { $client->get('/visits')->json->{visits} });
    is \@visits, [ 1 .. @visits ], 'one session, whichever worker is asked';
    my $r = $client->get('/visits', headers => { Origin => 'https://app.example.com' });
    is [ map { $r->header("access-control-allow-$_") } qw(origin credentials) ], [ 'https://app.example.com', 'true' ], 'CORS';
    ok $r->header('x-ratelimit-remaining'), 'rate limits';
    is $client->get('/assets/site.css')->content_type, 'text/css', 'static files';
};

done_testing;
