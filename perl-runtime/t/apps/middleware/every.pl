use strict;
use warnings;
use Cwd            ();
use File::Basename ();
use lib File::Basename::dirname(Cwd::abs_path(__FILE__)) . '/../../middleware/lib';
use Every qw(%CONFIG);
use Future::AsyncAwait;
use PAGI::Middleware::Builder;

# Every middleware at an address of its own (Auth::Basic at /Auth-Basic), around one application that does a bit of
# everything. What became of connections is told at /left.

my %left;

sub page {
    my ($name) = @_;
    return async sub {
        my ($scope, $receive, $send) = @_;
        my ($type, $path) = @$scope{qw(type path)};
        if ($type eq 'websocket') {
            await $send->({ type => 'websocket.accept' });
            while (1) {
                my $event = await $receive->();
                if ($event->{type} eq 'websocket.disconnect') { $left{$name}{websocket} = $event->{code}; return }
                die "told to die\n" if defined $event->{text} && $event->{text} eq 'die';
                await $send->({ %$event, type => 'websocket.send' }) if $event->{type} eq 'websocket.receive';
            }
        }
        if ($type eq 'sse') {
            await $send->({ type => 'sse.start' });
            await $send->({ type => 'sse.send', data => "one\ntwo", id => 1 });
            while (1) {
                my $event = await $receive->();
                if ($event->{type} eq 'sse.disconnect') { $left{$name}{sse} = 'gone'; return }
            }
        }
        die "no $type here\n" if $type ne 'http';
        die "told to die\n"   if $path eq '/die';

        my $body = '';
        if ($path eq '/echo') {
            while (1) {
                my $event = await $receive->();
                $body .= $event->{body} if $event->{type} eq 'http.request';
                last if $event->{type} ne 'http.request' || !$event->{more};
            }
        }
        await $send->({ type => 'http.response.start', status => 201, headers => [ [ 'content-type', 'text/plain' ], [ 'x-mark', 'kept' ] ] });
        if ($path eq '/file') {
            await $send->({ type => 'http.response.body', file => __FILE__, offset => 4, length => 6 });
            return;
        }
        if ($path eq '/stream' || $path eq '/late' || $path eq '/wait') {
            await $send->({ type => 'http.response.body', body => 'one ', more => 1 });
            die "told to die\n" if $path eq '/late';
            if ($path eq '/wait') {
                while (1) {
                    my $event = await $receive->();
                    if ($event->{type} eq 'http.disconnect') { $left{$name}{http} = 'gone'; return }
                }
            }
            await $send->({ type => 'http.response.body', body => 'two', more => 0 });
            return;
        }
        await $send->({ type => 'http.response.body', body => $path eq '/echo' ? $body : 'hello', more => 0 });
    };
}

builder {
    for my $name (sort keys %CONFIG) {
        my %config = %{ $CONFIG{$name} };
        delete $config{-headers};
        (my $place = $name) =~ s/::/-/g;
        mount "/$place" => PAGI::Middleware::Builder->new->add_middleware($name, %config)->to_app(page($name));
    }
    async sub {
        my ($scope, $receive, $send) = @_;
        die "no such address\n" if $scope->{type} ne 'http' || $scope->{path} !~ m{\A/left/(.+)};
        my $left = $left{$1} || {};
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        await $send->({ type => 'http.response.body', body => join ' ', map { "$_=$left->{$_}" } sort keys %$left });
    };
};
