use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test2::V0;
use File::Temp;
use PAGITest::BrowserExample qw(browser_example);

# The examples of the toolkit that have a page.

my $uploads = File::Temp->newdir;
$ENV{CONTACT_FORM_UPLOADS} = "$uploads/files";

browser_example('toolkit/contact-form',         'toolkit_contact_form');
browser_example('toolkit/endpoint-demo',        'toolkit_endpoints');
browser_example('toolkit/endpoint-router-demo', 'toolkit_endpoint_router');
browser_example('toolkit/chat-showcase',        'toolkit_chat');
browser_example('toolkit/websocket-chat-v2',    'toolkit_chat');
browser_example('toolkit/sse-close',            'toolkit_sse_close');
browser_example('toolkit/sse-dashboard',        'toolkit_sse_dashboard');
browser_example('toolkit/background-tasks',     'toolkit_background');
browser_example('toolkit/app-01-file',          'toolkit_files');

done_testing;
