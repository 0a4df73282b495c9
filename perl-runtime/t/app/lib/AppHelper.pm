package AppHelper;

# Drives an app with one hand-made scope.
#     my ($sent, $future) = call_app($app, { type => 'http', ... }, @events);

use strict;
use warnings;

use Exporter qw(import);
use Future;
use Future::AsyncAwait;
use PAGITest::Events qw(scripted);

our @EXPORT_OK = qw(app_saying call_app header http_scope text_of);

sub http_scope {
    my ($path, %more) = @_;
    return { type => 'http', method => 'GET', path => $path, query_string => '', headers => [], %more };
}

sub call_app {
    my ($app, $scope, @events) = @_;
    @events = ({ type => 'http.request', body => '', more => 0 }) unless @events;
    my ($receive, $send, $sent) = scripted(@events);
    my $future = $app->($scope, $receive, $send);
    $future->get if $future->is_ready;
    return ($sent, $future);
}

# An app that answers 200 with the text, or what the coderef makes of the scope.
sub app_saying {
    my ($text, $status) = @_;
    return async sub {
        my ($scope, $receive, $send) = @_;
        my $body = ref $text ? $text->($scope) : $text;
        my $type = $scope->{type} // 'http';
        if ($type eq 'websocket') {
            await $send->({ type => 'websocket.accept' });
            await $send->({ type => 'websocket.send', text => $body });
            return $body;
        }
        if ($type eq 'sse') {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => $body });
            return $body;
        }
        await $send->({ type => 'http.response.start', status => $status // 200, headers => [['content-type', 'text/plain']] });
        await $send->({ type => 'http.response.body', body => $body });
        return $body;
    };
}

sub header {
    my ($event, $name) = @_;
    my @values = map { $_->[1] } grep { $_->[0] eq $name } @{ $event->{headers} };
    return wantarray ? @values : $values[0];
}

# The body, text or data of all events.
sub text_of {
    my ($sent) = @_;
    return join '', map { $_->{body} // $_->{text} // $_->{data} // '' } @$sent;
}

1;
