package Notes::Controller::Root;

use Moose;
use namespace::autoclean;
use Digest::SHA ();

BEGIN { extends 'Catalyst::Controller' }

__PACKAGE__->config(namespace => '');

# Nothing here knows which server it runs under. These actions may block: they run in processes of the pool.

sub index :Path :Args(0) {
    my ($self, $c) = @_;
    $c->session->{visits}++;
    $c->stash(
        template => 'index.tt',
        who      => $c->session->{name} // 'guest',
        visits   => $c->session->{visits},
        notes    => $c->session->{notes} // [],
        # pagi-server sets this; a PSGI server has no WebSockets
        live     => defined $ENV{PAGI_ENV} ? 1 : 0,
    );
}

sub about :Local :Args(0) {
    my ($self, $c) = @_;
    $c->stash(template => 'about.tt', lines => [ map {"line $_ of <this> & that"} 1 .. 20 ]);
}

sub login :Local :Args(0) {
    my ($self, $c) = @_;
    $c->session->{name} = $c->req->body_parameters->{name};
    $c->res->redirect($c->uri_for('/'), 303);
}

sub add :Path('/notes') :Args(0) {
    my ($self, $c) = @_;
    push @{ $c->session->{notes} }, $c->req->body_parameters->{text};
    $c->res->redirect($c->uri_for('/'), 303);
}

sub upload :Local :Args(0) {
    my ($self, $c) = @_;
    my $upload = $c->req->upload('file');
    my $digest = Digest::SHA->new(1)->addfile($upload->fh)->hexdigest;
    $c->res->content_type('text/plain');
    $c->res->body(join ' ', $upload->filename, $upload->size, $digest);
}

sub stream :Local :Args(0) {
    my ($self, $c) = @_;
    $c->res->content_type('text/plain');
    $c->res->write("line $_\n") for 1 .. 5;
    $c->res->body('');
}

# As a query of a database would.
sub slow :Local :Args(0) {
    my ($self, $c) = @_;
    select undef, undef, undef, $c->req->query_parameters->{seconds} // 0.5;
    $c->res->content_type('text/plain');
    $c->res->body('slept');
}

sub fail :Local :Args(0) { die "on purpose\n" }

sub default :Path {
    my ($self, $c) = @_;
    $c->res->status(404);
    $c->res->content_type('text/plain');
    $c->res->body('There is nothing here');
}

sub end :ActionClass('RenderView') {}

__PACKAGE__->meta->make_immutable;

1;
