use super::row::{COMMAND, Form, Row, SECONDS, SWITCH, TEXT, form, row};

pub const ROWS: &[Row] = &[
    row("--app", "", TEXT, &[("loading.rs", "a_name_is_a_file_if_there_is_one")]),
    row("--mount", "", MOUNT, &[("mounts.rs", "path_6_each_application_sees_its_own_part")]).refuses(&[
        (&["--mount", "api=b"], "--mount takes a path that starts with '/', not encoded, got 'api=b'"),
        (&["--mount", "/%61=b"], "--mount takes a path that starts with '/', not encoded, got '/%61=b'"),
        (&["--mount", "/=b,arg=k"], "--mount takes KEY=VALUE after arg=, got '/=b,arg=k'"),
        (&["--mount", "/=b,host="], "--mount takes a host name without a port after host=, got '/=b,host='"),
    ]),
    row("-e", "", TEXT, CODE).refuses(&[(&["-e"], "-e needs a value")]),
    row("-M", "", form(&["A", "A=b,c", "-A"], &[], ""), CODE),
    row("--lib", "", TEXT, CODE),
    row(
        "--env",
        "",
        form(&["development", "production", "none", "any word", ""], &[], ""),
        &[
            ("loading.rs", "run_10_the_mode_is_in_the_environment"),
            ("development.rs", "resp_1_an_exception_is_explained_to_a_browser"),
        ],
    )
    .also_said("\"-E\"")
    .by_default("development on a terminal, else production"),
    row("--open", "false", SWITCH, &[("development.rs", "a_browser_is_opened_at_a_terminal_in_development_mode")]),
    row(
        "--server",
        "PAGI::Server",
        form(&["PAGI::Server"], &[], ""),
        &[("migrating.rs", "every_command_line_serves"), ("migrating.rs", "what_is_refused_is_refused_by_name")],
    )
    .also_said("\"-s\"")
    .refuses(&[(
        &["-s", "Other::Server"],
        "Cannot load server 'Other::Server': this program is the server, and takes the place of PAGI::Server only",
    )]),
    row("--future-xs", "false", SWITCH, &[("loading.rs", "future_xs_is_needed_when_it_is_asked_for")]),
    row("--no-default-middleware", "false", SWITCH, WRAPPED),
    row("--default-middleware", "false", SWITCH, WRAPPED),
    row(
        "--lifespan",
        "auto",
        form(&["auto", "on"], &[], ""),
        &[("lifespan.rs", "life_9_strict_mode_makes_declining_fatal")],
    )
    .refuses(&[
        (&["--lifespan", "maybe"], "Invalid lifespan_mode 'maybe': must be auto or on"),
        (
            &["--lifespan", "off"],
            "Invalid lifespan_mode 'off': applications are always asked; with auto, the default, one that handles no \
             lifespan events is served without",
        ),
    ]),
    row("--lifespan-startup-timeout", "30", SECONDS, &[("lifespan.rs", "life_7_startup_that_takes_too_long_fails")]),
    row("--root-path", "", ROOT_PATH, &[("http_scope.rs", "path_5_path_6_root_path")]),
];

const CODE: &[(&str, &str)] = &[("loading.rs", "code_on_the_command_line_wins_and_sees_modules_and_directories")];
const WRAPPED: &[(&str, &str)] = &[("loading.rs", "development_mode_wraps_the_application_unless_told_not_to")];
const MOUNT: Form = form(
    &["/api=api.pl", "/=My::App", "/a/=b=c,host=Shop.example", "/d=D,arg=root=/srv,arg=a=1\\,2"],
    &["/api", "/api=", "/a=b,c", "/a=b,hots=c"],
    "takes a path and an application, such as /api=api.pl or /=shop.pl,host=shop.example; further options are arg=KEY=VALUE",
);
const ROOT_PATH: Form =
    form(&["", "/app", "/a/b"], &["app", "/", "/app/"], "takes a path that starts with '/' and does not end in one");

/// About the command itself, at the end of `--help`.
pub const LAST: &[Row] = &[
    row("--check", "", COMMAND, &[("checking.rs", "check_accepts_what_would_serve")]),
    row("--version", "", COMMAND, &[("loading.rs", "help_and_version")]),
    row("--help", "", COMMAND, &[("loading.rs", "help_and_version")]),
];
