use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use Future::AsyncAwait;
use lib dirname(Cwd::abs_path(__FILE__)) . '/lib';
use MyApp::Main;
use PAGI::Lifespan;

PAGI::Lifespan->wrap(
    MyApp::Main->to_app,
    startup => async sub {
        my ($state) = @_;
        $state->{config}  = { app_name => 'Endpoint Router Demo', version => '1.0.0' };
        $state->{metrics} = { requests => 0, ws_active => 0, ws_messages => 0 };
    },
    shutdown => async sub {
        my ($state) = @_;
        print STDERR "served $state->{metrics}{requests} requests\n";
    },
);
