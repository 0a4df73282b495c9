use v5.36;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PAGITest::ChatExample qw(test_chat);
use Test2::V0;

test_chat('chat-showcase');

done_testing;
