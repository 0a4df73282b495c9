use v5.36;
use File::Basename qw(dirname);
use Future::AsyncAwait;
use Future::IO;
use JSON::MaybeXS;

# A question by POST, the answer as an event stream: what fetch-event-source and the assistants of our days do.
# EventSource itself can only GET.

my $page = do {
    open my $file, '<:raw', dirname(__FILE__) . '/index.html' or die "index.html: $!";
    local $/;
    <$file>;
};

my $bytes      = JSON::MaybeXS->new(utf8 => 1);                     # what clients send
my $characters = JSON::MaybeXS->new(utf8 => 0, canonical => 1);    # what the server encodes
my $interval   = $ENV{SSE_POST_INTERVAL} // 0.15;
my $longest    = 10_000;

# The answer, word by word.
sub words ($question) {
    my @words = reverse split ' ', $question;
    return ('Backwards,', 'that', 'is:', @words);
}

# The request body arrives as sse.request events. Undef when it is too long or the client has gone.
async sub question ($receive) {
    my $body = '';
    while (1) {
        my $event = await $receive->();
        return undef if $event->{type} ne 'sse.request';
        $body .= $event->{body};
        return undef if length $body > $longest;
        last if !$event->{more};
    }
    my $request = eval { $bytes->decode($body) };
    return ref $request eq 'HASH' && !ref $request->{question} ? $request->{question} : undef;
}

# Instead of a stream, an ordinary answer. fetch() sees its status, and EventSource would not come back.
async sub decline ($send, $status, $text, @headers) {
    await $send->({
        type    => 'sse.http.response.start',
        status  => $status,
        headers => [ [ 'content-type', 'text/plain' ], @headers ],
    });
    await $send->({ type => 'sse.http.response.body', body => $text });
}

async sub answer ($scope, $receive, $send) {
    if ($scope->{method} ne 'POST') {
        return await decline($send, 405, "Questions come by POST.\n", [ 'allow', 'POST' ]);
    }
    my $question = await question($receive);
    if (($question // '') !~ /\S/) {
        return await decline($send, 422, qq({"question":"..."} of at most $longest bytes, please.\n));
    }
    await $send->({ type => 'sse.start' });

    my $gone   = $receive->();    # nothing but sse.disconnect can come now
    my $number = 0;
    for my $word (words($question)) {
        $number++;
        await $send->({ type => 'sse.send', event => 'word', id => "$number", data => $characters->encode({ word => $word }) });
        await Future->wait_any(Future::IO->sleep($interval), $gone->without_cancel);
        if ($gone->is_ready) {
            warn "asker left after word $number: " . $gone->get->{reason} . "\n";
            return;
        }
    }
    # Without this, a client could not tell an answer that is complete from one that broke off.
    await $send->({ type => 'sse.send', event => 'done', data => $characters->encode({ words => $number }) });
}

async sub page ($scope, $receive, $send) {
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/html; charset=utf-8' ], [ 'content-length', length $page ] ],
    });
    await $send->({ type => 'http.response.body', body => $page });
}

my %handler = (sse => \&answer, http => \&page);

sub app ($scope, @channels) {
    my $handler = $handler{ $scope->{type} } or die "Unsupported scope type: $scope->{type}\n";
    return $handler->($scope, @channels);
}
