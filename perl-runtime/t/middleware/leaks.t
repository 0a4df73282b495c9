use strict;
use warnings;
use experimental 'signatures';
use lib 't/middleware/lib';
use Test2::V0;
use Drive;
use Every qw(%CONFIG);
use File::Find ();
use Future;
use Future::AsyncAwait;
use PAGI::Middleware::Builder;
use Scalar::Util qw(weaken);

# Nothing of a request may outlive it: a cycle between a scope and its closures would
# grow the worker with every request.
my $app = async sub ($scope, $receive, $send) {
    await $receive->();
    die "declined\n" if $scope->{path} eq '/die';
    if ($scope->{type} eq 'http') {
        await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/html' ] ] });
        await $send->({ type => 'http.response.body', body => 'x' x 2000 });
    }
    elsif ($scope->{type} eq 'sse') {
        await $send->({ type => 'sse.start' });
        await $send->({ type => 'sse.send', data => 'x' });
    }
    else {
        await $send->({ type => 'websocket.accept' });
        await $receive->();
    }
};

for my $name (sort keys %CONFIG) {
    my %config = %{ $CONFIG{$name} };
    my $headers = delete $config{-headers} // [];
    my $wrapped = PAGI::Middleware::Builder->new->add_middleware($name, %config)->to_app($app);
    my @left;
    for my $make (\&http_scope, \&sse_scope, \&ws_scope) {
        for my $path ('/', '/die') {
            for my $slow (0, 1) {
                my $scope = $make->(path => $path, add_headers => $headers);
                # The canary sits in a reference every copy of the scope shares.
                my $canary = $scope->{state};
                my $result = drive($wrapped, $scope, slow => $slow);
                push @left, "$scope->{type} $path" if !$result->future || !$result->future->is_ready;
                weaken $canary;
                weaken(my $weak_scope = $scope);
                undef $result;
                undef $scope;
                push @left, 'scope kept' if defined $weak_scope || defined $canary;
            }
        }
    }
    is(\@left, [], "$name keeps nothing");
}

subtest 'an abandoned request' => sub {
    for my $name (sort keys %CONFIG) {
        my %config = %{ $CONFIG{$name} };
        my $headers = delete $config{-headers} // [];
        my $cancelled = 0;
        my $gate = Future->new->on_cancel(sub { $cancelled++ });
        my $waiting = PAGI::Middleware::Builder->new->add_middleware($name, %config)->to_app(async sub { await $gate });
        my $scope = http_scope(add_headers => $headers);
        my $canary = $scope->{state};
        my $future = $waiting->($scope, sub { Future->new }, sub { Future->done });
        $future->cancel;
        weaken $canary;
        undef $_ for $scope, $future;
        is([ $cancelled, defined $canary ], [ 1, !!0 ], "$name: cancel reaches the application and frees the request");
    }
};

subtest 'the list is complete' => sub {
    my @classes;
    File::Find::find({ no_chdir => 1, wanted => sub {
        return unless m{lib/PAGI/Middleware/(.+)\.pm\z};
        (my $name = $1) =~ s{/}{::}g;
        push @classes, $name unless $name =~ /\A(?:Support::|Session::|Cookie::Jar|Builder\z)/;
    } }, 'lib/PAGI/Middleware');
    is([ sort keys %CONFIG ], [ sort @classes ], 'every middleware is in the matrix');
};

done_testing;
