package Catalyst::ActionRole::Async;

use Moose::Role;

use Scalar::Util qw(blessed);

# CB-7: `dispatch` does not return what the action did, so the Future is left where the bridge looks for it.
around execute => sub {
    my ($orig, $self, $controller, $c, @args) = @_;
    die "The action /$self is :Async and runs under pagi-server only, as an application of PAGI::App::Catalyst\n" unless $c->is_pagi;
    my $result = $self->$orig($controller, $c, @args);
    return $result unless blessed $result && $result->isa('Future');
    $c->pagi->hold($result);
    return 1;
};

no Moose::Role;

1;

__END__

=encoding utf-8

=head1 NAME

Catalyst::ActionRole::Async - an action that returns a Future

=head1 SYNOPSIS

    package MyApp::Controller::Live;
    use Moose;
    use Future::AsyncAwait;
    BEGIN { extends 'Catalyst::Controller' }

    async sub clock :Local :Async {
        my ($self, $c) = @_;
        my $ws = $c->pagi->websocket;
        await $ws->accept;
        await $ws->send_text(scalar localtime);
    }

=head1 DESCRIPTION

L<Catalyst::Plugin::PAGI> applies this role to all actions with the attribute C<:Async>. Elsewhere than under C<pagi-server> they die
C<The action /NAME is :Async and runs under pagi-server only, as an application of PAGI::App::Catalyst>.

=cut
