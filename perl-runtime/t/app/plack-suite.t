use v5.36;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/lib";
use FileTree qw(decoded);
use Future;
use HTTP::Response;
use IO::File;
use LWP::UserAgent;
use PAGITest::Backends qw(each_backend);
use Plack::Test::Suite;

# Plack's own tests for its servers, with Plack's lint around every application.

my $app = do "$FindBin::Bin/apps/plack-suite.pl" or die $@ || $!;

sub in_process ($request) {
    my ($raw_path, $query) = $request->uri->path_query =~ /\A([^?]*)\??(.*)\z/s;
    my @headers = map { my $name = lc; map { [$name, $_] } $request->headers->header($name) } $request->headers->header_field_names;
    push @headers, ['host', '127.0.0.1'] unless grep { $_->[0] eq 'host' } @headers;
    my $body = $request->content;
    if (ref $body) {    # a request that is sent in chunks
        my $whole = '';
        while (length(my $chunk = $body->())) { $whole .= $chunk }
        $body = $whole;
    }
    push @headers, ['content-length', length $body] if length $body && !grep { $_->[0] eq 'content-length' } @headers;
    my ($start, $content) = (undef, '');
    my $scope = {
        type => 'http', method => $request->method, path => decoded($raw_path), raw_path => $raw_path, query_string => $query, http_version => '1.1',
        scheme => 'http', root_path => '', headers => \@headers, server => ['127.0.0.1', $request->uri->port], client => ['127.0.0.1', 4711],
    };
    my $send = sub ($event) {
        if ($event->{type} eq 'http.response.start') { $start = $event }
        else { $content .= defined $event->{fh} ? slurp($event->{fh}) : defined $event->{file} ? slurp(IO::File->new($event->{file})) : $event->{body} }
        return Future->done;
    };
    my $ok = eval { $app->($scope, sub { Future->done({ type => 'http.request', body => $body, more => 0 }) }, $send)->get; 1 };
    return HTTP::Response->new(500, 'Internal Server Error') unless $ok;
    my $response = HTTP::Response->new($start->{status}, undef, [map { @$_ } @{ $start->{headers} }], $request->method eq 'HEAD' ? '' : $content);
    $response->message(HTTP::Status::status_message($response->code));
    $response->request($request);
    return $response;
}
sub slurp ($handle) { local $/; return readline($handle) // '' }

my $ua = LWP::UserAgent->new(max_redirect => 0, no_proxy => ['127.0.0.1']);
sub run_suite ($client, $backend, $is_pool) {
    my ($index, %made_by) = (0);
    for my $test (@Plack::Test::Suite::TEST) {
        my ($name, $run) = @$test;
        my $number = $index++;
        subtest $name => sub {
            $run->(sub ($request) {
                $request->header('X-Plack-Test' => $number);
                return in_process($request) if $backend eq 'in-process';
                $request->uri->port($client->port);
                my $response = $ua->request($request);
                # When the application dies the server answers.
                $made_by{ $response->header('X-Pool') }++ if defined $response->header('X-Pool');
                return $response;
            });
            ok 1, 'run';    # some of them check inside the application only
        };
    }
    cmp_ok $index, '>=', 36, "$index cases";
    is [keys %made_by], [$is_pool], $is_pool ? 'answered by the pool' : 'answered by workers' if $backend eq 'server';
    return;
}

for my $args ([], ['--workers', 2], ['--pool', 2]) {
    my $is_pool = grep { $_ eq '--pool' } @$args;
    each_backend("$FindBin::Bin/apps/plack-suite.pl", sub { run_suite(@_, $is_pool) }, server_args => $args);
}

done_testing;
