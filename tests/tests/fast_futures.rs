//! The native versions of what `await` does with a Future leave nothing different: the same application, with them and
//! without, tells the same.

use pagi_tests::app::handler;
use pagi_tests::curl::curl;
use pagi_tests::server::Setup;
use pagi_tests::websocket::{Heard, Socket};

/// Runs an application in both ways; the text it answers, which has to be the same.
fn both(code: &str) -> String {
    let [fast, plain] = ["1", "0"].map(|switch| {
        let mut server = Setup::perl(&handler(code)).env("PAGI_FAST_FUTURES", switch).start();
        let answer = curl([server.url("/")]);
        assert_eq!(answer.status, 200, "{}", server.log());
        let text = answer.text().to_owned();
        assert!(server.stop().success());
        assert!(!server.has_said("lost its returning future"), "{}", server.log());
        text
    });
    assert_eq!(fast, plain);
    fast
}

#[test]
fn fut_1_the_loops_futures_behave_as_any_other() {
    let told = both(
        r#"my @told;
        my sub fresh { PAGI::Native::Future->new }

        my $called = fresh();
        $called->on_ready(sub ($future) { push @told, 'ready ' . ref $future });
        $called->on_done(sub (@values) { push @told, "done @values" });
        $called->on_cancel(sub { push @told, 'not cancelled' });
        my $same = $called->done(1, 2);
        push @told, 'self ' . ($same == $called ? 1 : 0), 'values ' . join ' ', $called->get;

        my $first = fresh();
        my $then = $first->then(sub ($value) { Future->done($value + 1) });
        $first->done(4);
        push @told, 'then ' . await $then;

        my $dies = fresh();
        $dies->on_ready(sub { die "callback\n" });
        eval { $dies->done; 1 } or push @told, "died $@" =~ s/\n//r;

        my $twice = fresh();
        $twice->done;
        eval { $twice->done; 1 } or push @told, 'twice ' . ($@ =~ /is already done/ ? 'refused' : $@);

        my $cancelled = fresh();
        $cancelled->on_cancel(sub { push @told, 'on_cancel' });
        $cancelled->cancel;
        push @told, 'late ' . ($cancelled->done('x') == $cancelled ? 'ignored' : 'odd');

        await answer($send, join '', map { "$_\n" } @told);"#,
    );
    assert_eq!(
        told,
        "ready PAGI::Native::Future\ndone 1 2\nself 1\nvalues 1 2\nthen 5\ndied callback\ntwice refused\non_cancel\n\
         late ignored\n"
    );
}

#[test]
fn fut_1_await_suspends_resumes_fails_and_cancels_the_same() {
    let told = both(
        r#"my @told;
        my (%wait);
        my $waiting = async sub ($name) { return 'got ' . await($wait{$name} = PAGI::Native::Future->new) };
        my $nested = async sub ($name) { my $text = await Future->wrap($waiting->($name)); return "nested $text" };

        my $one = $nested->('one');
        push @told, 'ready ' . ($one->is_ready ? 1 : 0);
        $wait{one}->done('value');
        push @told, await $one;

        # Cancelling goes all the way in, and so does an exception all the way out.
        my $two = $nested->('two');
        $two->cancel;
        push @told, 'cancelled ' . ($wait{two}->is_cancelled ? 1 : 0);
        my $three = (async sub { await $nested->('three'); die "after\n" })->();
        $wait{three}->done('x');
        push @told, 'failed ' . $three->failure =~ s/\n//r;
        my $four = $nested->('four');
        $wait{four}->fail("inside\n");
        push @told, 'failed ' . $four->failure =~ s/\n//r;

        # Many awaits in one async sub: the list of what to cancel does not grow, and the last one is still in it.
        my $many = (async sub { for my $number (1 .. 100) { await($wait{many} = PAGI::Native::Future->new) } })->();
        $wait{many}->done for 1 .. 99;
        push @told, 'list ' . (@{ $many->{on_cancel} } < 10 ? 'short' : 'long');
        $many->cancel;
        push @told, 'cancelled ' . ($wait{many}->is_cancelled ? 1 : 0);

        # Nobody keeps what is over.
        require Scalar::Util;
        my $weak;
        { my $five = $nested->('five'); Scalar::Util::weaken($weak = $wait{five}); delete($wait{five})->done('x'); await $five }
        push @told, defined $weak ? 'kept' : 'freed';

        # Two futures at a time; a timer that loses is cancelled.
        my $quick = await Future->wait_any(Future::IO->sleep(0.01)->then(sub { Future->done('quick') }), Future::IO->sleep(60));
        my @all = await Future->needs_all(map { my $name = $_; Future::IO->sleep(0.01)->then(sub { Future->done($name) }) } qw(a b));
        push @told, "$quick @all";
        await answer($send, join '', map { "$_\n" } @told);"#,
    );
    assert_eq!(
        told,
        "ready 0\nnested got value\ncancelled 1\nfailed after\nfailed inside\nlist short\ncancelled 1\nfreed\nquick a b\n"
    );
}

#[test]
fn fut_1_receives_are_awaited_through_wrapped_and_chained_futures() {
    let code = r#"my $echo = async sub {
            await $receive->();
            await $send->({ type => 'websocket.accept' });
            while (1) {
                my $event = await $receive->();
                last if $event->{type} ne 'websocket.receive';
                await $send->({ type => 'websocket.send', text => "$path $event->{text}" });
            }
        };
        my $wrapped = async sub { await Future->wrap($echo->()) };
        return await $wrapped->() if $path eq '/wrapped';
        return await $wrapped->()->then(sub { Future->done }) if $path eq '/chained';
        await $echo->();"#;
    for switch in ["1", "0"] {
        let mut server = Setup::perl(&handler(code)).env("PAGI_FAST_FUTURES", switch).start();
        for path in ["/plain", "/wrapped", "/chained"] {
            let mut socket = Socket::open(server.address(), path).expect("it accepts");
            for number in 0..30 {
                socket.send_text(&number.to_string());
                assert_eq!(socket.hear(), Heard::Text(format!("{path} {number}")), "{}", server.log());
            }
        }
        assert!(server.stop().success());
        assert!(!server.has_said("lost its returning future"), "{}", server.log());
    }
}
