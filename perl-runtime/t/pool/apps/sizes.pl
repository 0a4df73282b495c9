use v5.36;
use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::WorkerPool;

# Pools with sizes of their own: GET /NAME?JSON, answered with JSON. None has an init, so a worker starts while all processes are busy.

my $json = JSON::MaybeXS->new(utf8 => 1, allow_nonref => 1);
sub note ($text) { open my $file, '>>', $ENV{POOL_NOTES} or die "$!"; syswrite $file, "$text\n"; return }
sub noted ($line) { open my $file, '<', $ENV{POOL_NOTES} or die "$!"; return scalar grep { $_ eq "$line\n" } readline $file }

for my $options ([ 'default' ], [ few => workers => 2 ], [ single => workers => 1 ]) {
    my ($pool, @size) = @$options;
    PAGI::WorkerPool->new(name => $pool, @size, kill_grace => 0.3, handlers => {
        # Says when it begins and ends, and waits until it is let go.
        'gate.wait' => sub ($state, $name) {
            note("begin $pool $name");
            select undef, undef, undef, 0.01 until noted("open $name");
            note("end $pool $name");
            return $$;
        },
        'note.text' => sub ($state, $text) { note($text); return },
        'job.kill'  => sub ($state) { kill KILL => $$; sleep 5 },
    });
}

async sub outcome ($future) {
    my @results;
    return [ 'done', @results ] if eval { @results = await $future; 1 };
    my (undef, undef, $code) = $future->failure;
    return [ 'failed', $code // "$@" ];
}

my %answer = (
    pid    => async sub ($q) { return $$ },
    stats  => async sub ($q) { return PAGI::WorkerPool->named($q->{pool})->stats },
    call   => async sub ($q) { return await outcome(PAGI::WorkerPool->named($q->{pool})->call($q->{name}, args => $q->{args} // [], %{ $q->{options} // {} })) },
    forget => async sub ($q) { return PAGI::WorkerPool->named($q->{pool})->call_forget('note.text', args => [ $q->{note} ]) },
);

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'http';
    my $query = $scope->{query_string} =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;
    my $result = await $answer{ substr $scope->{path}, 1 }->($json->decode(length $query ? $query : '{}'));
    my $body = $json->encode($result);
    await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'application/json' ], [ 'content-length', length $body ] ] });
    await $send->({ type => 'http.response.body', body => $body });
}
\&app;
