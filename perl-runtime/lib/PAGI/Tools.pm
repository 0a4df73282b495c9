package PAGI::Tools;

use strict;
use warnings;

our $VERSION = '0.002002';

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Tools - the toolkit for asynchronous web applications in Perl

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future::AsyncAwait;
    use PAGI::Request;
    use PAGI::Response;

    my $app = async sub {
        my ($scope, $receive, $send) = @_;
        die "Unsupported scope type: $scope->{type}\n" unless $scope->{type} eq 'http';

        my $request = PAGI::Request->new($scope, $receive);
        my $name    = $request->query_param('name') // 'world';
        await PAGI::Response->text("Hello, $name!")->respond($send);
    };

=head1 DESCRIPTION

A PAGI application is a code reference called with a scope, a C<$receive> and a C<$send>; the latter two return Futures.
The toolkit puts objects around these three. It depends on no event loop: the server owns the loop.

This module carries the version of the toolkit (C<$PAGI::Tools::VERSION>) and this overview.

=head2 Requests and responses

=over

=item L<PAGI::Request>, L<PAGI::Response>, L<PAGI::Headers>

An HTTP request and its response.

=item L<PAGI::WebSocket>, L<PAGI::SSE>

A WebSocket session, a stream of server-sent events.

=item L<PAGI::Context>

One object for all three, with an event dispatcher.

=item L<PAGI::Stash>, L<PAGI::Session>

Data of one request, data of one visitor.

=back

=head2 Applications

=over

=item L<PAGI::Endpoint::HTTP>, L<PAGI::Endpoint::WebSocket>, L<PAGI::Endpoint::SSE>, L<PAGI::Endpoint::Router>

Classes to derive from.

=item L<PAGI::App::Router>

Routing by path and method. Ready-made apps live beside it in C<PAGI::App>.

=item L<PAGI::Middleware::Builder>

Puts middleware around an app. The middleware live in C<PAGI::Middleware>.

=item L<PAGI::Lifespan>

Startup and shutdown hooks with shared state.

=back

=head2 Testing

L<PAGI::Test::Client> drives an app in the same process, without a server.

=head1 SEE ALSO

L<PAGI::Tools::Tutorial>, L<PAGI::Tools::Cookbook>, L<PAGI::Utils>

=cut
