package Catalyst::Plugin::PAGI;

use Moose::Role;

use Moose::Util ();
use PAGI::App::Catalyst::Helper;

# The actions are there now.
after setup_finalize => sub {
    my ($class) = @_;
    Moose::Util::ensure_all_roles($_, 'Catalyst::ActionRole::Async') for $class->pagi_async_actions;
    return;
};

sub pagi_async_actions {
    my ($class) = @_;
    my $actions = $class->dispatcher->_action_hash;
    my %seen;
    return grep { !$seen{$_}++ && ($_->attributes->{Async} || $_->isa('Catalyst::Action::Async')) } map { $actions->{$_} } sort keys %$actions;
}

sub pagi {
    my ($c) = @_;
    return $c->req->env->{'pagi.helper'} ||= PAGI::App::Catalyst::Helper->new;
}

sub is_pagi { return $_[0]->pagi->is_async ? 1 : 0 }

sub pagi_scope_type { return $_[0]->pagi->type }

# CB-8: the stack of actions that these return to is gone.
for my $method (qw(forward detach go visit)) {
    around $method => sub {
        my ($orig, $c, @args) = @_;
        die "'$method' is not possible after the first await of an :Async action\n" if $c->pagi->is_suspended;
        return $c->$orig(@args);
    };
}

no Moose::Role;

1;

__END__

=encoding utf-8

=head1 NAME

Catalyst::Plugin::PAGI - asynchronous actions, WebSockets and event streams in Catalyst

=head1 SYNOPSIS

    package MyApp;
    use Moose;
    use Catalyst qw(PAGI);
    extends 'Catalyst';
    __PACKAGE__->setup;

    package MyApp::Controller::Echo;
    use Moose;
    use Future::AsyncAwait;
    BEGIN { extends 'Catalyst::Controller' }

    async sub echo :Path('/echo') :Async {
        my ($self, $c) = @_;
        my $ws = $c->pagi->websocket;
        await $ws->accept;
        while (defined(my $text = await $ws->receive_text)) {
            await $ws->send_text($text);
        }
    }

=for pagi-synopsis compile

=head1 DESCRIPTION

For applications that L<PAGI::App::Catalyst> runs: it says how requests are divided between processes, and what holds in an
C<:Async> action.

=head1 METHODS

=head2 $c->pagi

A L<PAGI::App::Catalyst::Helper>.

=head2 $c->is_pagi

Whether this is an C<:Async> action under C<pagi-server>. Other actions, which may run in a process of the pool, have no connection.

=head2 $c->pagi_scope_type

C<http>, C<websocket> or C<sse>; C<http> in all other actions.

=head2 MyApp->pagi_async_actions

The actions with the attribute C<:Async>, sorted by their private path.

=cut
