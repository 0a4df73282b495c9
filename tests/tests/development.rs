//! Development mode: what people see of their mistakes, and what nobody else may.

use std::process::{Command, Stdio};

use pagi_tests::app::{handler, line_of, perl};
use pagi_tests::curl::curl;
use pagi_tests::patience::{PATIENCE, poll};
use pagi_tests::server::{Server, Setup, server_binary};

fn failing() -> String {
    handler(
        r#"    if ($path eq '/late') {
        await $send->({ type => 'http.response.start', status => 200, headers => [] });
        die "too late\n";
    }
    await Future::IO->sleep(0.01) if $path eq '/later';
    die { code => 7 } if $path eq '/object';
    die "caf\x{e9} \x{263a} <script>alert(1)</script>\e[31m\n" if $path eq '/markup';
    inner('secret reason') if $path eq '/deep' || $path eq '/later';
    await answer($send, 'fine');"#,
    )
    .replace(
        "async sub handle",
        "sub inner ($why) {\n    my $precious = '<b>source & code</b>';\n    die \"$why\\n\"; # thrown here\n}\nasync sub handle",
    )
}

#[test]
fn resp_1_an_exception_is_explained_to_a_browser() {
    let text = failing();
    for workers in [0, 2] {
        let server = Setup::perl(&text).args(["-E", "development"]).workers(workers).start();
        for path in ["/deep", "/later"] {
            let page = curl(["-H", "Accept: text/html,*/*;q=0.8", &server.url(path)]);
            assert_eq!(page.status, 500);
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
            let shown = page.text();
            assert!(shown.contains("secret reason") && shown.contains(&format!("GET {path}")), "{shown}");
            // The frame that threw has its place, and its source with the lines around it, escaped.
            let line = line_of(&text, "# thrown here");
            assert!(shown.contains(&format!("line {line}, in main::inner")), "{shown}");
            assert!(
                shown.contains(&format!("<mark>{line:5}      die &quot;$why\\n&quot;; # thrown here</mark>")),
                "{shown}"
            );
            assert!(shown.contains("&lt;b&gt;source &amp; code&lt;/b&gt;") && !shown.contains("<b>source"), "{shown}");
            // Its caller, too.
            assert!(shown.contains(&format!("line {}", line_of(&text, "inner('secret reason')"))), "{shown}");
        }
        assert!(server.has_said("PAGI application error: secret reason"), "{}", server.log());
        assert_eq!(curl([server.url("/")]).text(), "fine");
    }
}

#[test]
fn resp_1_an_exception_is_explained_to_a_terminal() {
    let server = Setup::perl(&failing()).args(["-E", "development"]).start();
    let shown = curl([server.url("/markup")]);
    assert_eq!(shown.status, 500);
    assert_eq!(shown.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = shown.text();
    assert!(text.contains("caf\u{e9} \u{263a} <script>alert(1)</script>\\x{1b}[31m\n"), "{text}");
    assert!(text.contains("\n> "), "{text}");
    let refused = curl(["-H", "Accept: text/html;q=0, */*", &server.url("/markup")]);
    assert_eq!(refused.header("content-type"), Some("text/plain; charset=utf-8"));
    let page = curl(["-H", "Accept: text/html", &server.url("/markup")]);
    assert!(page.text().contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page:?}");
    assert!(!page.text().contains("<script"), "{page:?}");
    // An exception need not be text, and a response that has begun stays as it is.
    assert!(curl([server.url("/object")]).text().contains("HASH(0x"));
    assert!(!String::from_utf8_lossy(&curl([server.url("/late")]).body).contains("too late"));
}

#[test]
fn nothing_of_it_is_shown_in_any_other_mode() {
    for mode in ["production", "none", "staging"] {
        let server = Setup::perl(&failing()).args(["-E", mode]).start();
        for accept in ["Accept: text/html", "Accept: */*"] {
            let page = curl(["-H", accept, &server.url("/deep")]);
            assert_eq!(page.status, 500);
            let text = page.text();
            assert!(!text.contains("secret") && !text.contains("inner") && !text.contains(".pl"), "{mode}: {text}");
        }
        assert!(server.has_said("PAGI application error: secret reason"), "{}", server.log());
    }
}

#[test]
fn an_application_may_keep_the_hook_for_itself() {
    let own = perl(
        "$SIG{__DIE__} = sub { note(\"seen $_[0]\") };\nsub application { my ($scope) = @_; die \"own reason\" }\n\\&application;",
    );
    let server = Setup::perl(&own).args(["-E", "development"]).start();
    let page = curl(["-H", "Accept: text/html", &server.url("/")]);
    // The text names its place.
    assert!(page.text().contains("<mark>") && page.text().contains("own reason"), "{page:?}");
}

/// The body of `GET /`, asked for by a program or by a browser.
fn get(server: &Server, accept: &str) -> String {
    let answer = curl(["-H", &format!("Accept: {accept}"), &server.url("/")]);
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn wait_for(server: &Server, accept: &str, wanted: &str) {
    let seen = poll(PATIENCE, || get(server, accept).contains(wanted));
    assert!(seen, "no {wanted:?} for {accept}:\n{}", server.log());
}

const BROWSER: &str = "text/html,*/*;q=0.8";
const PROGRAM: &str = "application/json";

#[test]
fn what_is_saved_is_served_and_what_cannot_be_loaded_is_explained() {
    let version = |number: u32| {
        handler("    await answer($send, Store::version());").replace("use v5.36;", "use v5.36; use Store;")
            + &format!("# {number}\n")
    };
    let module = |text: &str| format!("package Store;\nuse v5.36;\n{text}\n1;\n");
    let server = Setup::new()
        .file("lib/Store.pm", module("sub version { 'first' }"))
        .file("app.pl", version(1))
        .app("app.pl")
        .args(["-Ilib", "-E", "development", "--reload"])
        .start();
    assert_eq!(get(&server, PROGRAM), "first");
    let save = |name: &str, text: &str| std::fs::write(server.path(name), text).expect("it can be written");
    save("lib/Store.pm", &module("sub version { 'second' }"));
    wait_for(&server, PROGRAM, "second");
    // Editors put another file in place of the old one.
    save("lib/.Store.pm.new", &module("sub version { 'third' }"));
    std::fs::rename(server.path("lib/.Store.pm.new"), server.path("lib/Store.pm")).expect("it can be moved");
    wait_for(&server, PROGRAM, "third");
    save("lib/Store.pm", &module("sub version { 'fourth' }\nmy $broken = <;\n"));
    wait_for(&server, BROWSER, "The last change cannot be loaded");
    let page = get(&server, BROWSER);
    assert!(page.contains("Unterminated") && page.contains("<mark>"), "{page}");
    assert!(page.contains("my $broken = &lt;;"), "{page}");
    assert_eq!(get(&server, PROGRAM), "third", "the old code serves on");
    assert!(server.has_said("Reload failed"), "{}", server.log());
    save("lib/Store.pm", &module("sub version { 'fifth' }"));
    wait_for(&server, BROWSER, "fifth");
    // A file in a directory that was not there before.
    std::fs::create_dir_all(server.path("lib/Store")).expect("it can be made");
    save("lib/Store/Extra.pm", "package Store::Extra; sub extra { 'sixth' } 1;");
    save("lib/Store.pm", &module("use Store::Extra;\nsub version { Store::Extra::extra() }"));
    wait_for(&server, PROGRAM, "sixth");
    save("lib/Store/Extra.pm", "package Store::Extra; sub extra { 'seventh' } 1;");
    wait_for(&server, PROGRAM, "seventh");
}

#[test]
fn a_failed_reload_is_not_shown_in_production() {
    let text = |say: &str| handler(&format!("    await answer($send, '{say}');"));
    let server =
        Setup::new().file("app.pl", text("first")).app("app.pl").args(["-E", "production", "--reload"]).start();
    std::fs::write(server.path("app.pl"), "die 'secret';\n").expect("it can be written");
    server.wait_for_log("Reload failed");
    assert_eq!(get(&server, BROWSER), "first");
    std::fs::write(server.path("app.pl"), text("second")).expect("it can be written");
    wait_for(&server, BROWSER, "second");
}

#[test]
fn reload_needs_the_mold() {
    for setup in [Setup::new().arg("--reload"), Setup::new().env("PAGI_RELOAD", "true")] {
        let refused = setup.arg("--no-preload").run();
        assert_eq!(refused.code(), 2);
        refused.assert_says("--reload cannot be used with --no-preload");
    }
}

/// Runs the server at a terminal with a browser that writes down what it is to open, until the condition holds.
fn at_a_terminal(arguments: &str, wanted: impl Fn(&str, &str) -> bool) -> (String, String) {
    let scratch = tempfile::tempdir().expect("a directory can be made");
    let path = |name: &str| scratch.path().join(name);
    std::fs::write(path("app.pl"), handler("    await answer($send, 'fine');")).expect("it can be written");
    let script = format!("#!/bin/sh\necho \"$@\" >>{}\n", path("opened").display());
    std::fs::write(path("browser"), script).expect("it can be written");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path("browser"), executable).expect("it is ours");
    let server =
        format!("exec {} --port 0 --control-socket control.sock {arguments} app.pl", server_binary().display());
    let mut terminal = Command::new("script")
        .args(["--quiet", "--flush", "--command", &server, "typescript"])
        .current_dir(scratch.path())
        .env("BROWSER", format!("/nowhere/browser:{}", path("browser").display()))
        .env("SHELL", "/bin/sh")
        .env("PAGI_ALLOW_ROOT", "1")
        .env_remove("PAGI_ENV")
        .env_remove("PAGI_LISTEN")
        .env_remove("HOST")
        .env_remove("PORT")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("script is installed");
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default();
    let held = poll(PATIENCE, || wanted(&read("typescript"), &read("opened")));
    // The server is told by its terminal, which ends with `script`.
    let mut input = terminal.stdin.take().expect("it is a pipe");
    std::io::Write::write_all(&mut input, b"\x03").expect("the terminal takes an interrupt");
    let ended = poll(PATIENCE, || terminal.try_wait().is_ok_and(|status| status.is_some()));
    let _ = terminal.kill();
    let (said, opened) = (read("typescript"), read("opened"));
    assert!(held && ended, "held: {held}, ended: {ended}, opened {opened:?}:\n{said}");
    (said, opened)
}

#[test]
fn a_browser_is_opened_at_a_terminal_in_development_mode() {
    for workers in ["", "--workers 2"] {
        let (said, opened) = at_a_terminal(&format!("{workers} --open"), |_, opened| opened.ends_with('\n'));
        let address = said.split("listening on ").nth(1).and_then(|rest| rest.split(' ').next());
        assert_eq!(Some(opened.trim()), address, "{said}");
    }
    // What would have been opened would have been before the server has stopped.
    let (_, opened) = at_a_terminal("-E production --open", |said, _| said.contains("listening on"));
    assert_eq!(opened, "");
}
