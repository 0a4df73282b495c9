//! The browser harness itself: what a page does wrong is seen.

use std::panic::catch_unwind;

use pagi_tests::app::{example, handler};
use pagi_tests::browser::browse;
use pagi_tests::server::Setup;

#[test]
fn a_page_that_throws_fails_its_scenario() {
    let server = Setup::perl(&handler(
        r#"my $script = $path eq '/wrong' ? 'nothing.atAll()' : '';
        await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/html; charset=latin1' ] ] });
        await $send->({ type => 'http.response.body', body => "<p>caf\xe9</p><script>$script</script>" });"#,
    ))
    .start();
    browse("open", &server.url("/"), &["p", "café"]);
    let url = server.url("/wrong");
    let said = catch_unwind(|| browse("open", &url, &["p", "café"])).expect_err("the page throws");
    let said = said.downcast_ref::<String>().expect("a formatted message");
    assert!(said.contains("nothing is not defined"), "{said}");
}

#[test]
fn periodic_events() {
    let server = Setup::new().app(example("periodic-events")).env("PERIODIC_EVENTS_INTERVAL", "0.2").start();
    browse("periodic_events", &server.url("/"), &[]);
}
