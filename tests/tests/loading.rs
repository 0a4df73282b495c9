//! How applications are found, loaded and refused (reference-server.md 3 and 4.5; RUN-*).

use pagi_tests::app;
use pagi_tests::curl::curl;
use pagi_tests::server::{Server, Setup};

/// An application that answers every request with the value of an expression.
fn says(expression: &str) -> String {
    app::handler(&format!("await answer($send, {expression});"))
}

/// The body of `GET /`.
fn root(server: &Server) -> String {
    let answer = curl([server.url("/")]);
    assert_eq!(answer.status, 200, "{}", server.log());
    answer.text().to_owned()
}

/// Runs what cannot be loaded: without workers, with workers and without preloading. All say the same.
#[track_caller]
fn refuses(setup: impl Fn() -> Setup, expected: &[&str]) -> String {
    let mut said = String::new();
    for mode in [&[][..], &["--workers", "2"], &["--workers", "2", "--no-preload"]] {
        let outcome = setup().args(mode).run();
        assert_eq!(outcome.code(), 1, "{mode:?}: {}", outcome.stderr);
        for text in expected {
            outcome.assert_says(text);
        }
        assert!(!outcome.stderr.contains("listening on"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
        said = outcome.stderr;
    }
    said
}

// What is an application

#[test]
fn run_6_the_last_value_of_a_file_is_the_application() {
    for last in ["\\&application;", "my $app = \\&application; $app;", "sub { application(@_) };"] {
        let text = says("'from a file'").replace("\\&application;", last);
        assert_eq!(root(&Setup::perl(&text).start()), "from a file", "{last}");
    }
}

#[test]
fn run_6_a_file_that_only_declares_app() {
    let text = r"
        use v5.36;
        use Future::AsyncAwait;
        async sub app ($scope, $receive, $send) {
            die 'Unsupported: ' . $scope->{type} if $scope->{type} ne 'http';
            await $send->({ type => 'http.response.start', status => 200, headers => [['content-type', 'text/plain']] });
            await $send->({ type => 'http.response.body', body => 'declared' });
        }
    ";
    for workers in [0, 2] {
        assert_eq!(root(&Setup::perl(text).workers(workers).start()), "declared");
    }
}

#[test]
fn run_1_run_2_to_app_of_an_object_is_called_once() {
    let text = says("'built ' . Provider::count()").replace(
        "\\&application;",
        "package Provider { my $built = 0; sub count { $built }
            sub new { bless {}, shift } sub to_app { $built++; \\&main::application } }
         Provider->new;",
    );
    let server = Setup::perl(&text).start();
    assert_eq!(root(&server), "built 1");
    assert_eq!(root(&server), "built 1");
}

#[test]
fn run_3_a_blessed_code_reference_is_used_directly() {
    let text = says("'direct'").replace(
        "\\&application;",
        "package Provider { sub to_app { die 'to_app was called' } } bless \\&main::application, 'Provider';",
    );
    assert_eq!(root(&Setup::perl(&text).start()), "direct");
}

#[test]
fn run_2_run_7_to_app_that_fails_or_returns_something_else() {
    let provider = |body: &str| format!("package Provider {{ sub to_app {{ {body} }} }} bless {{}}, 'Provider';\n");
    refuses(|| Setup::perl(&provider("die qq{no wine\\n}")), &["to_app failed: no wine"]);
    refuses(|| Setup::perl(&provider("'Some::App'")), &["to_app must return a coderef, got 'Some::App'"]);
    refuses(|| Setup::perl(&provider("+{}")), &["to_app must return a coderef, got HASH"]);
}

#[test]
fn run_4_a_package_name_is_not_an_application() {
    let text = "package My::App; sub new { bless {}, shift } sub to_app { sub { } } 'My::App';\n";
    let said = refuses(|| Setup::perl(text), &["App file must return a coderef, got: 'My::App'"]);
    assert!(!said.contains("to_app"), "{said}");
}

#[test]
fn run_5_without_preloading_each_worker_is_a_load_of_its_own() {
    let text = says("'served'").replace("\\&application;", "note(\"loaded\"); \\&application;");
    let loads = |extra: &[&str]| {
        let server = Setup::perl(&text).workers(3).args(extra).start();
        for number in 1..=3 {
            server.wait_for_log(&format!("Worker {number} ("));
        }
        server.output("notes").lines().count()
    };
    assert_eq!(loads(&[]), 1);
    assert_eq!(loads(&["--no-preload"]), 3);
}

// What is not

#[test]
fn run_6_run_7_files_that_cannot_be_loaded() {
    refuses(|| Setup::new().app("nowhere.pl"), &["App file not found: ", "/nowhere.pl"]);
    refuses(|| Setup::perl("1;\n"), &["App file must return a coderef, got: '1'"]);
    refuses(|| Setup::perl("{};\n"), &["App file must return a coderef, got: "]);
    refuses(|| Setup::perl("[];\n"), &["App file must return a coderef, got: ARRAY"]);
    refuses(|| Setup::perl(""), &["App file must return a coderef, got: undef"]);
    refuses(|| Setup::perl("my $x = ;\n"), &["Error loading ", "/app.pl: syntax error at ", "app.pl line 1"]);
    refuses(|| Setup::perl("\n\ndie 'no database';\n"), &["Error loading ", "no database at ", "app.pl line 3"]);
    refuses(|| Setup::perl("die { code => 42 };\n"), &["Error loading ", "app.pl: HASH("]);
    refuses(|| Setup::perl("use No::Such::Module;\n"), &["Error loading ", "Can't locate No/Such/Module.pm"]);
    refuses(|| Setup::new().file("directory.pl/x", "").app("directory.pl"), &["Error loading ", "is a directory"]);
}

#[test]
fn an_unreadable_file() {
    // Root reads everything: a link that points nowhere is unreadable for all.
    refuses(
        || {
            let setup = Setup::new();
            std::os::unix::fs::symlink("/nonexistent/app.pl", setup.path("app.pl")).expect("a link can be made");
            setup.app("app.pl")
        },
        &["App file not found: "],
    );
    refuses(|| Setup::new().app("./control.sock/app.pl"), &["App file not found: "]);
}

#[test]
fn modules_that_cannot_be_loaded() {
    refuses(|| Setup::new().app("No::Such"), &["Cannot find module 'No::Such': Can't locate No/Such.pm"]);
    refuses(|| Setup::new().app("nosuchfile"), &["Cannot find module 'nosuchfile': "]);
    refuses(|| Setup::new().app("9bad"), &["Invalid module name: 9bad"]);
    refuses(
        || Setup::new().app("File::Basename"),
        &["Module 'File::Basename' does not have new() and to_app() methods"],
    );
    let broken = || Setup::new().file("Broken.pm", "package Broken; sub new { die qq{no key\\n} } sub to_app { } 1;");
    refuses(|| broken().args(["-I", "."]).app("Broken"), &["Cannot construct 'Broken': no key"]);
    let wrong = || Setup::new().file("Wrong.pm", "package Wrong; sub new { bless {} } sub to_app { 7 } 1;");
    refuses(|| wrong().args(["-I", "."]).app("Wrong"), &["Module 'Wrong': to_app must return a coderef, got '7'"]);
}

#[test]
fn code_that_cannot_be_evaluated() {
    refuses(|| Setup::new().args(["-e", "sub {"]), &["Error evaluating -e code: "]);
    refuses(|| Setup::new().args(["-e", "die 'no luck'"]), &["Error evaluating -e code: no luck at -e line 1"]);
    refuses(|| Setup::new().args(["-e", "42"]), &["-e code must return a coderef, got '42'"]);
    refuses(|| Setup::new().args(["-MNo::Such", "-e", "sub {}"]), &["Cannot load module No::Such: Can't locate"]);
    refuses(|| Setup::new().args(["-M", "not a name", "-e", "sub {}"]), &["Cannot load module not a name: "]);
}

#[test]
fn an_application_that_exits_while_it_loads() {
    for (workers, expected) in [(0, 7), (2, 1)] {
        let text = "END { print STDERR qq{the end\\n} } exit 7;\n";
        let outcome = Setup::perl(text).workers(workers).run();
        assert_eq!(outcome.code(), expected, "{}", outcome.stderr);
        outcome.assert_says("the end");
    }
}

// Options

#[test]
fn code_on_the_command_line_wins_and_sees_modules_and_directories() {
    let module = "package Greeting; use Exporter 'import'; our @EXPORT_OK = qw(hello world);
        sub hello { 'hello' } sub world { ' world' } 1;";
    let code = "sub { my ($scope, $receive, $send) = @_;
        die if $scope->{type} ne 'http';
        $send->({ type => 'http.response.start', status => 200, headers => [] })->then(sub {
            $send->({ type => 'http.response.body', body => hello() . world() }) }) }";
    for include in [&["-I", "lib"][..], &["-Ilib"], &["--lib", "lib"]] {
        let setup =
            Setup::new().file("lib/Greeting.pm", module).args(include).args(["-MGreeting=hello,world", "-e", code]);
        assert_eq!(root(&setup.app("ignored.pl").start()), "hello world");
    }
}

#[test]
fn a_module_gets_its_arguments_and_the_name_of_its_file() {
    let module = app::perl(
        r#"
        sub new { my ($class, %arguments) = @_; bless \%arguments, $class }
        sub to_app {
            my ($self) = @_;
            my $text = join ';', map { "$_=$self->{$_}" } sort keys %$self;
            return sub { my ($scope, $receive, $send) = @_;
                die if $scope->{type} ne 'http';
                answer($send, $text);
            };
        }
        1;
        "#,
    );
    let module = format!("package My::Service;\n{module}");
    let setup = Setup::new().file("lib/My/Service.pm", module).arg("-Ilib").app("My::Service");
    let server = setup.app_arg("colour=red").app_arg("plain").app_arg("equation=a=b").start();
    assert_eq!(root(&server), "_caller_file=lib/My/Service.pm;colour=red;equation=a=b");
    assert!(server.has_said("Ignoring argument without '=': plain"), "{}", server.log());
}

#[test]
fn a_name_is_a_file_if_there_is_one() {
    let server = Setup::new().file("service", says("'file without extension'")).app("service").start();
    assert_eq!(root(&server), "file without extension");
    for option in ["-a", "--app"] {
        let server = Setup::new().file("service.psgi", says("'named'")).args([option, "service.psgi"]).start();
        assert_eq!(root(&server), "named");
    }
}

#[test]
fn while_the_file_runs_perl_looks_as_if_it_were_the_program() {
    let text = says("$main::seen").replace(
        "\\&application;",
        "use FindBin; our $seen = join '|', $0, \"@ARGV\", $FindBin::Bin, $FindBin::Script, __FILE__; \\&application;",
    );
    for workers in [0, 2] {
        let server = Setup::new().file("deep/service.pl", &text).app("./deep/service.pl").workers(workers).start();
        let directory = server.path("deep").canonicalize().expect("the directory exists");
        let file = directory.join("service.pl");
        let (directory, file) = (directory.display(), file.display());
        let seen = root(&server).replace("/./", "/");
        assert_eq!(seen, format!("{file}|{file}|{directory}|service.pl|{file}"));
    }
}

#[test]
fn run_10_the_mode_is_in_the_environment() {
    let text = says("$ENV{PAGI_ENV}");
    // Standard input is no terminal.
    assert_eq!(root(&Setup::perl(&text).start()), "production");
    assert_eq!(root(&Setup::perl(&text).env("PAGI_ENV", "staging").start()), "staging");
    assert_eq!(root(&Setup::perl(&text).env("PAGI_ENV", "staging").args(["-E", "none"]).start()), "none");
    // Compile time counts too.
    let early = says("$main::early").replace("use v5.36;", "our $early; BEGIN { $early = $ENV{PAGI_ENV} } use v5.36;");
    assert_eq!(root(&Setup::perl(&early).args(["--env", "development"]).workers(2).start()), "development");
}

#[test]
fn development_mode_wraps_the_application_unless_told_not_to() {
    let lint = "PAGI::Middleware::Lint is on";
    let wrapped = Setup::perl(&says("'x'")).args(["-E", "development"]).start();
    assert!(wrapped.has_said(lint), "{}", wrapped.log());
    let plain = Setup::perl(&says("'x'")).args(["-E", "development", "--no-default-middleware"]).start();
    assert!(!plain.has_said(lint), "{}", plain.log());
    // The last word counts, and that of the command line more than that of the environment.
    let both = ["-E", "development", "--no-default-middleware", "--default-middleware"];
    let undone = Setup::perl(&says("'x'")).args(both).start();
    assert!(undone.has_said(lint), "{}", undone.log());
    let undone = Setup::perl(&says("'x'")).args(["-E", "development", "--default-middleware"]);
    let undone = undone.env("PAGI_NO_DEFAULT_MIDDLEWARE", "1").start();
    assert!(undone.has_said(lint), "{}", undone.log());
    let none = Setup::perl(&says("'x'")).args(["-E", "none"]).start();
    assert!(!none.has_said(lint), "{}", none.log());
}

#[test]
fn future_xs_is_needed_when_it_is_asked_for() {
    let setup = || {
        let setup = Setup::perl(&says("'served'")).file("own/Future/XS.pm", "die qq{out of order\\n};");
        let own = setup.path("own");
        setup.env("PERL5LIB", own)
    };
    let outcome = setup().arg("--future-xs").run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says("Future::XS cannot be loaded: out of order");
    // Without it, Future goes on with what it is itself.
    assert_eq!(root(&setup().start()), "served");
}

#[test]
fn without_an_application_the_current_directory_is_served() {
    let server = Setup::new().file("greeting.txt", "from a directory\n").start();
    assert_eq!(curl([server.url("/greeting.txt")]).text(), "from a directory\n");
    let listing = curl([server.url("/")]);
    assert!(listing.text().contains("greeting.txt"), "{listing:?}");
    assert_eq!(curl([server.url("/nowhere.txt")]).status, 404);
}

#[test]
fn an_own_copy_of_a_shipped_module_wins() {
    let module = "package PAGI::Utils; our $VERSION = 'mine'; 1;";
    let text = says("$PAGI::Utils::VERSION").replace("use v5.36;", "use v5.36; use PAGI::Utils ();");
    let setup = Setup::perl(&text).file("lib/PAGI/Utils.pm", module).arg("-Ilib");
    assert_eq!(root(&setup.start()), "mine");
}

// Start-up errors outside the application

#[test]
fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    for extra in [&[][..], &["--workers", "2"]] {
        let setup = Setup::perl(&says("'x'")).listens_elsewhere().args(["--port", &port]).args(extra);
        let outcome = setup.run();
        assert_eq!(outcome.code(), 1);
        outcome.assert_says(&format!("Error: Port {port} is already in use"));
    }
}

#[test]
fn a_port_that_another_server_of_ours_has() {
    // Both would set SO_REUSEPORT: the kernel alone would let them share.
    let first = Setup::perl(&says("'first'")).workers(2).start();
    let port = first.address().port().to_string();
    let outcome = Setup::perl(&says("'second'")).listens_elsewhere().args(["-p", &port, "-w", "2"]).run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says(&format!("Error: Port {port} is already in use"));
    assert_eq!(root(&first), "first");
}

#[test]
fn addresses_and_files_that_cannot_be_used() {
    let app = || Setup::perl(&says("'x'"));
    let outcome = app().args(["--host", "192.0.2.1"]).run();
    assert_eq!(outcome.code(), 1);
    outcome.assert_says("Error starting server: ");
    let outcome = app().args(["--access-log", "/nonexistent/access.log"]).run();
    assert_ne!(outcome.code(), 0);
    outcome.assert_says("Cannot open access log /nonexistent/access.log");
    let outcome = app().args(["--pid", "/nonexistent/server.pid"]).run();
    assert_ne!(outcome.code(), 0);
    outcome.assert_says("Cannot write PID file /nonexistent/server.pid");
    let outcome = app().args(["--user", "no-such-user"]).run();
    assert_ne!(outcome.code(), 0);
    outcome.assert_says("Unknown user: no-such-user");
    let outcome = app().args(["--group", "no-such-group"]).run();
    assert_ne!(outcome.code(), 0);
    outcome.assert_says("Unknown group: no-such-group");
}

#[test]
fn help_and_version() {
    let help = Setup::new().arg("--help").run();
    assert_eq!(help.code(), 0);
    for option in ["--workers", "--access-log-format", "-e <CODE>", "Exit status:", "Signals:"] {
        assert!(help.stdout.contains(option), "{option}: {}", help.stdout);
    }
    for option in ["--version", "-v"] {
        let version = Setup::new().arg(option).run();
        assert_eq!(version.code(), 0);
        assert!(version.stdout.starts_with("pagi-server (PAGI "), "{}", version.stdout);
        assert!(version.stdout.contains(", PAGI::Server "), "{}", version.stdout);
        assert_eq!(version.stdout.lines().count(), 1);
    }
}
