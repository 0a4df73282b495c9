package Notes;

use Moose;
use namespace::autoclean;
use Catalyst::Runtime 5.90;
use Catalyst qw(PAGI Static::Simple Session Session::State::Cookie Session::Store::File);
use File::Spec ();

extends 'Catalyst';

__PACKAGE__->config(
    name                        => 'Notes',
    enable_catalyst_header      => 0,
    'Plugin::Session'           => { storage => File::Spec->tmpdir . "/notes-sessions-$<", cookie_name => 'notes' },
    'View::HTML'                => { INCLUDE_PATH => [ __PACKAGE__->path_to('root') ] },
);

__PACKAGE__->setup;

1;
