use v5.36;
use Future::AsyncAwait;
use Mojo::UserAgent;

my $target = $ENV{MOJO_PROXY_TARGET} // 'http://localhost:8080';
my $agent  = Mojo::UserAgent->new(max_redirects => 0, inactivity_timeout => 30);

# What belongs to one connection, and what the server or the agent writes by itself.
my %dropped = map { $_ => 1 } qw(connection keep-alive transfer-encoding upgrade te trailer host content-length date);

async sub body ($receive) {
    my $body = '';
    while (1) {
        my $event = await $receive->();
        return undef if $event->{type} eq 'http.disconnect';
        $body .= $event->{body};
        return $body if !$event->{more};
    }
}

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
    my $body = await body($receive);
    return if !defined $body;

    my $query = length $scope->{query_string} ? "?$scope->{query_string}" : '';
    my $tx    = $agent->build_tx($scope->{method}, "$target$scope->{raw_path}$query", $body);
    $tx->req->headers->add(@$_) for grep { !$dropped{ $_->[0] } } $scope->{headers}->@*;
    $tx->req->headers->add('X-Forwarded-For', $scope->{client}[0]) if $scope->{client};

    my ($status, $content, @headers) = (502, "The server behind this one cannot be reached.\n");
    if (eval { await $agent->start_p($tx); 1 }) {
        my $answer = $tx->res;
        my $fields = $answer->headers->to_hash(1);
        ($status, $content) = ($answer->code, $answer->body);
        for my $name (grep { !$dropped{ lc $_ } } sort keys %$fields) {
            push @headers, map { [ lc $name, $_ ] } $fields->{$name}->@*;
        }
    }
    else {
        warn "$scope->{method} $scope->{path}: $@";
    }
    await $send->({
        type    => 'http.response.start',
        status  => $status,
        headers => [ @headers, [ 'content-length', length $content ] ],
    });
    await $send->({ type => 'http.response.body', body => $content });
}
