package PAGI::Endpoint::Connection;

use strict;
use warnings;

use Carp ();
use Future;
use PAGI::Context;

our @CARP_NOT = qw(PAGI::Endpoint::SSE PAGI::Endpoint::WebSocket);

sub new {
    my ($class, %args) = @_;
    return bless {%args}, $class;
}

sub context_class { 'PAGI::Context' }

# Every connection has an object of its own: a copy of the one that to_app was called on.
sub to_app {
    my ($proto) = @_;
    my $class = ref $proto || $proto;
    my %args = ref $proto ? %$proto : ();
    my $wanted = $class->_scope_type;
    return sub {
        my ($scope, $receive, $send) = @_;
        my $type = defined $scope->{type} ? $scope->{type} : 'http';
        return Future->fail(Carp::shortmess("Expected $wanted scope, got '$type'")) unless $type eq $wanted;
        my $self = $class->new(%args);
        return $self->handle($self->context_class->new($scope, $receive, $send));
    };
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Endpoint::Connection - what endpoints for WebSockets and event streams have in common

=head1 SYNOPSIS

    package My::Echo;
    use parent 'PAGI::Endpoint::WebSocket';    # which is one of these

    sub on_receive { my ($self, $ctx, $text) = @_; return $ctx->send_text($text) }

=head1 DESCRIPTION

An endpoint of this kind is made for each connection. L<PAGI::Endpoint::WebSocket> and L<PAGI::Endpoint::SSE> add C<handle>, the life of one.

=head1 METHODS

=head2 new

    my $endpoint = My::Echo->new(%fields);

=head2 context_class

The class of contexts, L<PAGI::Context>. Override it for another.

=head2 to_app

    my $app = My::Echo->to_app;
    my $app = My::Echo->new(limit => 5)->to_app;    # every connection gets a copy

The application. For another scope type its Future fails with C<Expected TYPE scope, got 'TYPE'>.

=cut
