use strict;
use warnings;
use Test2::V0;

my @modules = qw(
    PAGI::Tools PAGI::Utils PAGI::Utils::Random PAGI::Utils::SecureCompare PAGI::Utils::TextJSON PAGI::Lifespan
    PAGI::HashAccess PAGI::Stash PAGI::Session PAGI::EventScope PAGI::WebSocket PAGI::SSE
    PAGI::Test::Client PAGI::Test::Response PAGI::Test::Connection PAGI::Test::WebSocket PAGI::Test::SSE
    PAGI::Test::ConnectionState PAGI::Test::Lifespan PAGI::Test::Loop PAGI::Test::Pairs
);

# Each in a process of its own: loading one must not depend on another having been loaded before.
for my $module (@modules) {
    my $output = qx($^X -Ilib -we "use $module; print q{loaded}" 2>&1);
    is $output, 'loaded', "$module loads by itself, without a warning";
}

require PAGI::Tools;
like $PAGI::Tools::VERSION, qr/\A\d+\.\d+\z/, 'the toolkit has a version';

done_testing;
