package PAGI::App::Mojolicious::Request;

use strict;
use warnings;

use Exporter qw(import);
use PAGI::App::Proxy::Request qw(request_target);

our @EXPORT_OK = qw(prepare request_head body_part);

# What the transaction knows apart from the request's bytes.
sub prepare {
    my ($tx, $scope) = @_;
    my ($client, $server) = @$scope{qw(client server)};
    $tx->remote_address($client->[0])->remote_port($client->[1]) if $client;
    $tx->local_address($server->[0])->local_port($server->[1]) if $server;
    my $base = $tx->req->url->base;
    $base->scheme('https') if ($scope->{scheme} // '') =~ /\A(?:https|wss)\z/;
    my $root = $scope->{root_path} // '';
    if (length $root) {
        utf8::encode($root);
        $base->path->parse($root =~ s/([%?#])/sprintf '%%%02X', ord $1/ger)->trailing_slash(1);
        # As under CGI, the path is relative to its base: urls are made from both.
        $tx->on(request => sub { $_[0]->req->url->path->leading_slash(0) });
    }
    return;
}

# The head for Mojolicious's own parser, so that its limits and its idea of a request apply. $chunked: there is a body
# whose length is not known.
sub request_head {
    my ($scope, $chunked) = @_;
    my $is_websocket = $scope->{type} eq 'websocket';
    my @headers = grep { !_is_ours($_->[0], $is_websocket) } @{ $scope->{headers} || [] };
    push @headers, ['transfer-encoding', 'chunked'] if $chunked;
    if ($is_websocket) {
        push @headers, ['upgrade', 'websocket'], ['connection', 'Upgrade'];
        my %has = map { $_->[0] => 1 } @headers;
        # Over HTTP/2 there is none, and nobody looks at the answer to it here.
        push @headers, ['sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA=='] unless $has{'sec-websocket-key'};
        push @headers, ['sec-websocket-version', 13] unless $has{'sec-websocket-version'};
        push @headers, ['sec-websocket-protocol', join ', ', @{ $scope->{subprotocols} }]
            if !$has{'sec-websocket-protocol'} && @{ $scope->{subprotocols} || [] };
    }
    my $method = $is_websocket ? 'GET' : $scope->{method};
    return join "\r\n", "$method " . request_target($scope) . ' HTTP/1.1', (map {"$_->[0]: $_->[1]"} @headers), '', '';
}

sub body_part {
    my ($bytes, $chunked, $more) = @_;
    return $bytes unless $chunked;
    return (length $bytes ? sprintf("%x\r\n%s\r\n", length $bytes, $bytes) : '') . ($more ? '' : "0\r\n\r\n");
}

# Headers about the client's connection.
sub _is_ours {
    my ($name, $is_websocket) = @_;
    return $name =~ /\A(?:connection|keep-alive|te|transfer-encoding|upgrade|expect|trailer)\z/
        || ($is_websocket && $name eq 'sec-websocket-extensions');
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Mojolicious::Request - a scope as a Mojolicious request

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Mojolicious::Request qw(request_head);

    my $scope = { type => 'http', method => 'GET', path => '/', query_string => 'a=1', headers => [['host', 'example.com']] };
    print request_head($scope);

=head1 FUNCTIONS

=head2 prepare($tx, $scope)

Gives a L<Mojo::Transaction> the addresses, the scheme and the base path of the scope.

=head2 request_head($scope, $chunked)

The request line and headers as bytes, with a chunked body announced if C<$chunked>.

=head2 body_part($bytes, $chunked, $more)

A piece of the body as it follows that head.

=cut
