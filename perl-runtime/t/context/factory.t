use strict;
use warnings;
use Test2::V0;
use PAGI::Context;

my ($receive, $send) = (sub { 'receive' }, sub { 'send' });
sub context_for { PAGI::Context->new({@_}, $receive, $send) }

subtest classes => sub {
    is(PAGI::Context->_type_map, {
        http => 'PAGI::Context::HTTP', websocket => 'PAGI::Context::WebSocket', sse => 'PAGI::Context::SSE',
    }, 'type map');
    for my $case ([ http => 'HTTP' ], [ websocket => 'WebSocket' ], [ sse => 'SSE' ], [ unknown => 'HTTP' ]) {
        my ($type, $class) = @$case;
        is ref context_for(type => $type), "PAGI::Context::$class", $type;
        isa_ok context_for(type => $type), 'PAGI::Context';
    }
    is ref context_for(), 'PAGI::Context::HTTP', 'no type';
};

subtest extension => sub {
    {
        package t::Custom;
        our @ISA = 'PAGI::Context';
        sub _type_map { +{ %{ $_[0]->SUPER::_type_map }, http => 't::Custom::HTTP', grpc => 't::Custom::GRPC' } }
        package t::Custom::HTTP;
        our @ISA = 'PAGI::Context::HTTP';
        sub extra { 'extra' }
        package t::Custom::GRPC;
        our @ISA = 'PAGI::Context';
        package t::Resolver;
        our @ISA = 'PAGI::Context';
        sub _resolve_class { my ($class, $scope) = @_; $scope->{path} eq '/api' ? 't::Custom::HTTP' : $class->SUPER::_resolve_class($scope) }
    }
    is(t::Custom->new({ type => 'http' }, $receive, $send)->extra, 'extra', 'replaced type');
    is ref t::Custom->new({ type => 'grpc' }, $receive, $send), 't::Custom::GRPC', 'added type';
    is ref t::Custom->new({ type => 'sse' }, $receive, $send), 'PAGI::Context::SSE', 'kept type';
    is ref t::Custom->new({ type => 'other' }, $receive, $send), 't::Custom::HTTP', 'unknown type: the http entry';
    is ref t::Resolver->new({ type => 'http', path => '/api' }, $receive, $send), 't::Custom::HTTP', 'custom resolver';
    is ref t::Resolver->new({ type => 'http', path => '/' }, $receive, $send), 'PAGI::Context::HTTP', 'which may pass on';
};

subtest accessors => sub {
    my $headers = [ [ 'X-A' => 1 ], [ 'x-a' => 2 ] ];
    my $ctx = context_for(type => 'http', path => '/p', raw_path => '/%70', query_string => 'a=1', scheme => 'https', client => [ 'c', 1 ],
        server => [ 's', 2 ], headers => $headers);
    is [ map { $ctx->$_ } qw(type path raw_path query_string scheme client server) ],
        [ 'http', '/p', '/%70', 'a=1', 'https', [ 'c', 1 ], [ 's', 2 ] ], 'from the scope';
    ref_is $ctx->headers, $headers, 'headers: the raw list';
    is [ $ctx->header('X-a'), $ctx->header('none') ], [ 2, undef ], 'header';
    ref_is $ctx->scope->{headers}, $headers, 'scope';
    my $bare = context_for(type => 'http', path => '/p');
    is [ map { $bare->$_ } qw(raw_path query_string scheme) ], [ '/p', '', 'http' ], 'defaults';
    is $bare->header('x'), undef, 'no headers at all';
};

subtest types => sub {
    for my $type (qw(http websocket sse)) {
        my $ctx = context_for(type => $type);
        is [ map { $ctx->$_ } qw(is_http is_websocket is_sse) ], [ map { $_ eq $type ? 1 : 0 } qw(http websocket sse) ], $type;
        my $assert = "assert_$type";
        ref_is $ctx->$assert, $ctx, "$assert chains";
        for my $other (grep { $_ ne $type } qw(http websocket sse)) {
            my $wrong = "assert_$other";
            like dies { $ctx->$wrong }, qr/^expected a '$other' context, got a '$type' context at \Q$0\E/, "$wrong on $type";
        }
    }
    like dies { context_for()->assert_sse }, qr/^expected a 'sse' context, got a '\(none\)' context at/, 'no type';
};

subtest 'path parameters' => sub {
    my $ctx = context_for(type => 'http', path_params => { b => 2, a => undef });
    is [ $ctx->path_params, $ctx->path_param('b'), $ctx->path_param('a') ], [ { a => undef, b => 2 }, 2, undef ], 'values';
    is dies { $ctx->path_param('c') }, "path_param 'c' not found. Available: a, b\n", 'strict';
    is $ctx->path_param('c', strict => 0), undef, 'lenient';
    is $ctx->path_param('b', colour => 1), 2, 'unknown options are ignored';
    my $bare = context_for(type => 'http');
    is $bare->path_params, {}, 'none';
    is dies { $bare->path_param('c') }, "path_param 'c' not found. No path params set\n", 'strict, none';
};

subtest 'raw channels' => sub {
    for my $type (qw(http websocket sse)) {
        my $ctx = context_for(type => $type);
        ref_is $ctx->receive, $receive, "receive on $type";
        ref_is $ctx->raw_send, $send, "raw_send on $type";
    }
    ref_is context_for(type => $_)->send, $send, "send on $_" for qw(http websocket);
};

done_testing;
