package Catalyst::Action::Async;

use Moose;

extends 'Catalyst::Action';
with 'Catalyst::ActionRole::Async';

__PACKAGE__->meta->make_immutable(inline_constructor => 0);
no Moose;

1;

__END__

=encoding utf-8

=head1 NAME

Catalyst::Action::Async - class of actions that return a Future

=head1 SYNOPSIS

    package MyApp::Controller::Live;
    use Moose;
    use Future::AsyncAwait;
    BEGIN { extends 'Catalyst::Controller' }

    async sub clock :Local :ActionClass('Async') {
        my ($self, $c) = @_;
        my $ws = $c->pagi->websocket;
        await $ws->accept;
        await $ws->send_text(scalar localtime);
    }

=head1 DESCRIPTION

C<:ActionClass('Async')> is the long way to write C<:Async> (L<Catalyst::ActionRole::Async>).

=cut
