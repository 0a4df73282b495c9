package Notes;

use strict;
use warnings;
use Dancer2;
use Digest::SHA ();
use File::Spec  ();

set engines   => { session => { YAML => { session_dir => File::Spec->tmpdir . "/notes-dancer2-$<", cookie_name => 'notes' } } };
set session   => 'YAML';
set template  => 'template_toolkit';
set layout    => undef;
set charset   => 'UTF-8';
set show_errors => 0;

# Nothing here knows which server it runs under. These routes may block: they run in processes of the pool.

get '/' => sub {
    session visits => (session('visits') // 0) + 1;
    return template index => {
        who    => session('name') // 'guest',
        visits => session('visits'),
        notes  => session('notes') // [],
        # pagi-server sets this; a PSGI server has no WebSockets
        live   => defined $ENV{PAGI_ENV} ? 1 : 0,
        base   => request->script_name,
    };
};

get '/about' => sub { template about => { lines => [ map {"line $_ of <this> & that"} 1 .. 20 ] } };

post '/login' => sub {
    session name => body_parameters->get('name');
    redirect '/', 303;
};

post '/notes' => sub {
    session notes => [ @{ session('notes') // [] }, body_parameters->get('text') ];
    redirect '/', 303;
};

post '/upload' => sub {
    my $upload = upload('file');
    content_type 'text/plain';
    return join ' ', $upload->filename, $upload->size, Digest::SHA->new(1)->addfile($upload->tempname)->hexdigest;
};

get '/stream' => sub {
    content_type 'text/plain';
    return delayed {
        flush;
        content "line $_\n" for 1 .. 5;
        done;
    };
};

# As a query of a database would.
get '/slow' => sub {
    select undef, undef, undef, query_parameters->get('seconds') // 0.5;
    content_type 'text/plain';
    return 'slept';
};

get '/fail' => sub { die "on purpose\n" };

1;
