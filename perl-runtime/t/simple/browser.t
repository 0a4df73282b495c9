use v5.36;
use lib 't/lib';
use Test2::V0;
use PAGITest::BrowserExample qw(browser_example);

# The examples of PAGI::Simple as people see them. What has no state of its own, or shares it, runs with four workers.

browser_example('simple/hello',     'simple_hello', '--workers', 4);
browser_example('simple/chat',      'simple_chat',  '--workers', 4);
browser_example('simple/auth',      'simple_auth',  '--workers', 4);
browser_example('simple/dashboard', 'simple_dashboard');
browser_example('simple/todo',      'simple_todo');
browser_example('simple/uploads',   'simple_uploads');
browser_example('simple/rest-api',  'simple_rest_api');
browser_example('simple/demo',      'simple_demo');

done_testing;
