//! Several applications in one server (`--mount`, `[[mount]]`).

use pagi_tests::app;
use pagi_tests::http::Response;
use pagi_tests::raw::Raw;
use pagi_tests::server::{Server, Setup};

/// An application that tells where it is, and what its own state has.
fn part(name: &str) -> String {
    app::perl(&format!(
        r#"async sub run ($scope, $receive, $send) {{
            if ($scope->{{type}} eq 'lifespan') {{
                await $receive->();
                die "$ENV{{REASON}}\n" if ($ENV{{DECLINES}} // '') =~ m{{{name}}};
                return await $send->({{ type => 'lifespan.startup.failed', message => 'no database' }})
                    if ($ENV{{FAILS}} // '') eq '{name}';
                $scope->{{state}}{{{name}}} = 1;
                note("{name} started");
                await $send->({{ type => 'lifespan.startup.complete' }});
                await $receive->();
                note("{name} stopped");
                return await $send->({{ type => 'lifespan.shutdown.complete' }});
            }}
            await answer($send, join ' ', '{name}', "<$scope->{{root_path}}>", "<$scope->{{path}}>", $scope->{{raw_path}},
                sort keys %{{ $scope->{{state}} }});
        }}
        \&run;"#
    ))
}

fn setup() -> Setup {
    let setup = Setup::perl(&part("main")).args(["-E", "none"]);
    ["api", "v2", "shop"].into_iter().fold(setup, |setup, name| setup.file(&format!("{name}.pl"), part(name)))
}

const MOUNTS: [&str; 6] =
    ["--mount", "/api=./api.pl", "--mount", "/api/v2/=./v2.pl", "--mount", "/=./shop.pl,host=shop.example"];

fn get(server: &Server, host: &str, path: &str) -> Response {
    let mut raw = Raw::connect(server.address());
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    raw.response("GET")
}

#[test]
fn path_6_each_application_sees_its_own_part() {
    for workers in ["1", "2"] {
        let server = setup().args(MOUNTS).args(["--workers", workers]).start();
        for (host, path, expected) in [
            ("h", "/", "main <> </> / main"),
            ("h", "/apix", "main <> </apix> /apix main"),
            ("h", "/api", "api </api> </> /api api"),
            ("h", "/api/x%20y", "api </api> </x y> /api/x%20y api"),
            ("h", "/api/v2", "v2 </api/v2> </> /api/v2 v2"),
            ("h", "/api/v2/z", "v2 </api/v2> </z> /api/v2/z v2"),
            ("Shop.example:80", "/api/x", "shop <> </api/x> /api/x shop"),
            ("other.example", "/q", "main <> </q> /q main"),
        ] {
            assert_eq!(get(&server, host, path).text(), expected, "{host}{path}");
        }
    }
    let server = setup().args(MOUNTS).args(["--root-path", "/root"]).start();
    assert_eq!(get(&server, "h", "/root/api/x").text(), "api </root/api> </x> /root/api/x api");
}

#[test]
fn life_1_every_application_has_a_lifespan() {
    let mut server = setup().args(MOUNTS).start();
    assert_eq!(get(&server, "h", "/").status, 200);
    assert_eq!(server.stop().code(), Some(0));
    let notes = server.output("notes");
    for name in ["main", "api", "v2", "shop"] {
        assert!(notes.contains(&format!("{name} started")) && notes.contains(&format!("{name} stopped")), "{notes}");
    }
}

#[test]
fn life_6_life_8_who_declines_is_served_and_who_fails_is_named() {
    let server = setup().args(MOUNTS).env("DECLINES", "api v2").env("REASON", "not me").start();
    assert_eq!(get(&server, "h", "/api").text(), "api </api> </> /api");
    let server = setup().args(MOUNTS).env("DECLINES", "main api v2 shop").env("REASON", "not me").start();
    assert_eq!(get(&server, "h", "/").text(), "main <> </> /");
    let outcome = setup().args(MOUNTS).env("FAILS", "v2").run();
    assert_ne!(outcome.code(), 0);
    outcome.assert_says("mount /api/v2/: no database");
}

/// A module whose constructor takes arguments.
const MODULE: &str = r#"package Told;
use v5.36;
use Future::AsyncAwait;
sub new ($class, %argument) { return bless \%argument, $class }
sub to_app ($self) {
    my $text = join ';', map { "$_=$self->{$_}" } grep { !/^_/ } sort keys %$self;
    return async sub ($scope, $receive, $send) {
        die "no lifespan\n" if $scope->{type} ne 'http';
        await $send->({ type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'text/plain' ] ] });
        await $send->({ type => 'http.response.body', body => "<$text>" });
    };
}
1;
"#;

#[test]
fn modules_get_constructor_arguments() {
    let tables = "[[mount]]\npath = '/a'\napp = 'Told'\nargs = { root = '/srv,x', deep = true, level = 2 }\n\n\
                  [[mount]]\npath = '/b'\napp = 'Told'\nargs = { root = 'other' }\n\n\
                  [[mount]]\npath = '/c'\napp = 'Told'\n";
    let file =
        setup().file("lib/Told.pm", MODULE).file("pagi.toml", tables).args(["-I", "lib", "--config", "pagi.toml"]);
    let server = file.start();
    for (path, expected) in [("/a", "<deep=1;level=2;root=/srv,x>"), ("/b", "<root=other>"), ("/c", "<>")] {
        assert_eq!(get(&server, "h", path).text(), expected, "{path}");
    }
    let typed = setup().file("lib/Told.pm", MODULE).args([
        "-I",
        "lib",
        "--workers",
        "2",
        "--mount",
        r"/a=Told,arg=root=/srv\,x,arg=q=a=b,host=h",
        "--mount",
        "/b=Told",
    ]);
    let server = typed.start();
    assert_eq!(get(&server, "h", "/a").text(), "<q=a=b;root=/srv,x>");
    assert_eq!(get(&server, "h", "/b").text(), "<>");
    let refused = setup().args(["--mount", "/a=Told,arg=root"]).run();
    assert_eq!(refused.code(), 2);
    refused.assert_says("--mount takes KEY=VALUE after arg=");
}

#[test]
fn tables_of_the_configuration_file_and_no_application_of_its_own() {
    let server = Setup::new()
        .file("api.pl", part("api"))
        .file("files/a.txt", "a file")
        .file(
            "pagi.toml",
            "[[mount]]\npath = '/api'\napp = './api.pl'\n\n[[static]]\npath = '/api/files'\ndirectory = 'files'\n",
        )
        .args(["--config", "pagi.toml", "-E", "none"])
        .start();
    assert_eq!(get(&server, "h", "/api/x").text(), "api </api> </x> /api/x api");
    assert_eq!(get(&server, "h", "/api/files/a.txt").text(), "a file");
    assert_eq!(get(&server, "h", "/pagi.toml").status, 404, "the current directory is nobody's business");
    let outcome = Setup::perl(&part("main")).args(["-E", "none", "--mount", "/x=./none.pl"]).run();
    outcome.assert_says("Mount /x/: App file not found: ");
}
