use super::row::{Form, POSITIVE, Row, SECONDS, SWITCH, TEXT, form, row};

pub const ROWS: &[Row] = &[
    row("--ssl-cert", "", TEXT, CHOSEN).once(&["--ssl-cert-file"]).also_said(".options()").refuses(&[
        (&["--ssl-cert", "/dev/null"], "--ssl-cert and --ssl-key must be specified together"),
        (&["--ssl-cert", "/no.crt", "--ssl-key", "/dev/null"], "SSL cert not found: /no.crt"),
        (
            &["--ssl-cert", "/dev/null", "--ssl-key", "/dev/null", "--ssl-cert", "/dev/null"],
            "--ssl-cert and --ssl-key must be specified together (2 certificates and 1 keys are given)",
        ),
    ]),
    row("--ssl-key", "", TEXT, CHOSEN).once(&["--ssl-key-file"]).also_said(".options()").refuses(&[
        (&["--ssl-key", "/dev/null"], "--ssl-cert and --ssl-key must be specified together"),
        (&["--ssl-cert", "/dev/null", "--ssl-key", "/no.key"], "SSL key not found: /no.key"),
    ]),
    row("--ssl-cert-dir", "", TEXT, CHOSEN),
    row("--ssl-ca-file", "", TEXT, CLIENTS)
        .once(&["--ssl-ca"])
        .refuses(&[(&["--ssl-ca-file", "/ca"], "--ssl-ca-file needs --ssl-cert and --ssl-key")]),
    row(
        "--ssl-crl-file",
        "",
        TEXT,
        &[("tls/clients.rs", "tls_4_a_revoked_certificate_is_refused_and_so_is_its_session")],
    )
    .once(&["--ssl-crl"])
    .refuses(&[
        (&["--ssl-crl-file", "/crl"], "--ssl-crl-file needs --ssl-cert and --ssl-key"),
        (
            &["--ssl-cert", "/dev/null", "--ssl-key", "/dev/null", "--ssl-crl-file", "/crl"],
            "--ssl-crl-file needs --ssl-ca-file",
        ),
    ]),
    row(
        "--ssl-verify-client",
        "off",
        VERIFY,
        &[
            ("tls/clients.rs", "tls_4_required_means_required"),
            ("tls/clients.rs", "tls_3_optional_takes_none_but_not_a_bad_one"),
            ("tls/clients.rs", "tls_3_optional_no_ca_tells_the_application_what_is_wrong"),
        ],
    )
    .refuses(&[
        (&["--ssl-verify-client", "1"], "--ssl-verify-client needs --ssl-cert and --ssl-key"),
        (
            &["--ssl-cert", "/dev/null", "--ssl-key", "/dev/null", "--ssl-verify-client", "required"],
            "--ssl-verify-client required needs --ssl-ca-file",
        ),
        (
            &["--ssl-cert", "/dev/null", "--ssl-key", "/dev/null", "--ssl-verify-client", "optional"],
            "--ssl-verify-client optional needs --ssl-ca-file",
        ),
    ]),
    row("--ssl-min-version", "1.2", VERSION, &[("tls/handshakes.rs", "versions_below_the_least_are_refused")]),
    row("--ssl-cipher-list", "", CIPHERS, &[("tls/handshakes.rs", "only_the_cipher_suites_asked_for_are_spoken")])
        .by_default("all that are safe"),
    row("--ssl-session-timeout", "43200", SESSION, &[("tls/resumption.rs", "resumption_can_be_switched_off")]),
    row("--ssl-handshake-timeout", "10", SECONDS, &[("tls/handshakes.rs", "a_handshake_that_takes_too_long_is_ended")]),
    row(
        "--max-ssl-handshakes",
        "256",
        POSITIVE,
        &[("tls/handshakes.rs", "more_handshakes_than_allowed_wait_for_their_turn")],
    ),
    row("--ssl-check-interval", "2", SECONDS, &[("tls/reload.rs", "sighup_in_a_server_without_workers")]),
    row("--disable-tls", "false", SWITCH, &[("tls/starting.rs", "tls_can_be_disabled")]),
];

const CHOSEN: &[(&str, &str)] = &[("tls/handshakes.rs", "the_name_decides_which_certificate_is_shown")];
const CLIENTS: &[(&str, &str)] = &[("tls/clients.rs", "tls_4_tls_5_tls_7_a_chain_with_an_authority_between")];
const VERIFY: Form = form(
    &["off", "0", "optional", "required", "1", "optional-no-ca"],
    &["maybe", "2", ""],
    "takes off, optional, required or optional-no-ca",
);
const VERSION: Form =
    form(&["1.2", "TLSv1_2", "TLSv1.2", "1.3", "TLSv1_3", "TLSv1.3"], &["1.1", "TLSv1", ""], "takes 1.2 or 1.3");
const CIPHERS: Form = form(&["ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256"], &[], "");
const SESSION: Form =
    form(&["0", "60", "86400.5"], &["5", "59.9", "long", "-60"], "takes a number of seconds from 60, or 0");
