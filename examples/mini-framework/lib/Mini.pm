package Mini;
use v5.36;

use Encode qw(encode);
use Future::AsyncAwait;
use JSON::PP ();

# A web framework in one screen: routes with placeholders, middleware, and handlers that simply return a value.

sub new ($class) {
    return bless { routes => [], middleware => [] }, $class;
}

# $app->route('GET', '/hello/:name' => async sub ($request) { ... })
sub route ($self, $method, $pattern, $handler) {
    my @names = $pattern =~ /:(\w+)/g;
    my $regex = join '', map { /\A:/ ? '([^/]+)' : quotemeta } split /(:\w+)/, $pattern;
    push $self->{routes}->@*, { method => $method, regex => qr/\A$regex\z/, names => \@names, handler => $handler };
    return $self;
}

# Middleware takes an application and gives one; what is added first is outermost.
sub wrap ($self, $middleware) {
    push $self->{middleware}->@*, $middleware;
    return $self;
}

# The server calls this once, and serves what comes back.
sub to_app ($self) {
    my $app = sub ($scope, $receive, $send) {
        die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';
        return $self->_dispatch($scope, $receive, $send);
    };
    $app = $_->($app) for reverse $self->{middleware}->@*;
    return $app;
}

async sub _dispatch ($self, $scope, $receive, $send) {
    my @allowed;
    my @routes = $self->{routes}->@*;
    for my $route (@routes) {
        my @values = $scope->{path} =~ $route->{regex} or next;
        if ($route->{method} ne $scope->{method}) {
            push @allowed, $route->{method};
            next;
        }
        my %parameter;
        @parameter{ $route->{names}->@* } = @values if $route->{names}->@*;
        my $request = { scope => $scope, receive => $receive, parameter => \%parameter };
        my $result  = await $route->{handler}->($request);
        return await _respond($send, ref $result eq 'ARRAY' ? @$result : (200, $result));
    }
    return await _respond($send, 405, "Method not allowed\n", allow => join ', ', @allowed) if @allowed;
    return await _respond($send, 404, "Not found\n");
}

# A hash becomes JSON, anything else is text.
async sub _respond ($send, $status, $value, %header) {
    my $is_data = ref $value eq 'HASH';
    my $body    = $is_data ? JSON::PP->new->utf8->canonical->encode($value) : encode('UTF-8', $value);
    $header{'content-type'} //= $is_data ? 'application/json' : 'text/plain; charset=utf-8';
    await $send->({
        type    => 'http.response.start',
        status  => $status,
        headers => [ [ 'content-length', length $body ], map { [ $_, $header{$_} ] } sort keys %header ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}

1;
