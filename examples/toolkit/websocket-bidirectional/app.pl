use strict;
use warnings;
use feature 'unicode_strings';    # uc works on characters, accented ones too
use Future;
use Future::AsyncAwait;
use Future::IO;
use PAGI::Context;

# Two things at once on one WebSocket: answering what comes in, and sending on its own account.

async sub answer {
    my ($ctx) = @_;
    await $ctx->each_text(async sub {
        my ($text) = @_;
        await $ctx->send_text('you said: ' . uc $text);
    });
}

async sub tick {
    my ($ctx) = @_;
    my $number = 0;
    until ($ctx->is_closed) {
        await Future::IO->sleep(1);
        # the client may have left during the second; then this is a quiet no-op
        await $ctx->send_text_if_connected('server tick #' . ++$number);
    }
}

my $app = async sub {
    my ($scope, $receive, $send) = @_;
    my $ctx = PAGI::Context->new($scope, $receive, $send)->assert_websocket;

    await $ctx->accept;
    # answer() ends with the disconnect; wait_any then cancels the ticker in its sleep
    await Future->wait_any(answer($ctx), tick($ctx));
};
$app;
