use strict;
use warnings;
use Test2::V0;
use Future;
use Future::AsyncAwait;
use Scalar::Util qw(weaken);

# A context closes over its channels, callbacks close over the context: when the scope is over, everything must be gone.

our @contexts;
sub seen { weaken($contexts[@contexts] = $_[0]) }

{
    package t::Page;
    use parent 'PAGI::Endpoint::HTTP';
    use Future::AsyncAwait;
    async sub get {
        my ($self, $ctx) = @_;
        main::seen($ctx);
        $ctx->stash->set(ctx => 1);
        $ctx->req->query_params;
        return $ctx->response->stream(async sub {
            my ($writer) = @_;
            $writer->on_close(sub { $writer->is_closed && $ctx->path });
            await $writer->write('x');
        });
    }
    async sub post { my ($self, $ctx) = @_; main::seen($ctx); await $ctx->response->text('awaited') }

    package t::Socket;
    use parent -norequire, 'PAGI::Endpoint::WebSocket';
    require PAGI::Endpoint::WebSocket;
    async sub on_connect {
        my ($self, $ctx) = @_;
        main::seen($ctx);
        return await $ctx->deny if $self->{deny};
        await $ctx->accept;
    }
    sub on_receive    { my ($self, $ctx, $text) = @_; die "oops\n" if $text eq 'die'; return $ctx->send_text($text) }
    sub on_disconnect { }

    package t::Stream;
    use parent -norequire, 'PAGI::Endpoint::SSE';
    require PAGI::Endpoint::SSE;
    async sub on_connect { my ($self, $ctx) = @_; main::seen($ctx); await $ctx->send('x') }
    sub on_disconnect { }
}

# Every send is pending at first, so that the handlers really suspend.
sub run {
    my ($app, $scope, @events) = @_;
    my @pending;
    my $future = $app->({ path => '/', headers => [], %$scope },
        sub { @events ? Future->done(shift @events) : Future->new },
        sub { push @pending, my $f = Future->new; return $f });
    while (my $f = shift @pending) { $f->done }
    return $future->is_ready;
}

my @connected = ({ type => 'websocket.connect' }, { type => 'websocket.receive', text => 'a' });
my $gone = { type => 'websocket.disconnect', code => 1001 };
my %case = (
    'http'                => [ t::Page->to_app, { type => 'http', method => 'GET' } ],
    'http, awaited'       => [ t::Page->to_app, { type => 'http', method => 'POST' } ],
    'websocket'           => [ t::Socket->to_app, { type => 'websocket' }, @connected, $gone ],
    'websocket, denied'   => [ t::Socket->new(deny => 1)->to_app, { type => 'websocket' }, @connected ],
    'websocket, dying'    => [ t::Socket->to_app, { type => 'websocket' }, @connected, { type => 'websocket.receive', text => 'die' } ],
    'sse'                 => [ t::Stream->to_app, { type => 'sse' }, { type => 'sse.disconnect' } ],
);
for my $name (sort keys %case) {
    @contexts = ();
    ok run(@{ $case{$name} }), "$name: ran";
    is [ scalar @contexts, grep { defined } @contexts ], [1], "$name: the context is gone";
}

done_testing;
