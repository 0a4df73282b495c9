use super::row::{Form, Row, form, row};

pub const ROWS: &[Row] = &[
    row(
        "--trusted-proxies",
        "",
        NETWORK,
        &[
            ("proxies.rs", "x_forwarded_fields_of_a_trusted_peer_are_the_scope"),
            ("proxies.rs", "clients_of_unix_sockets_are_believed_when_they_are_named"),
        ],
    ),
    row("--proxy-headers", "x-forwarded", KIND, &[("proxies.rs", "rfc_7239_forwarded_where_the_proxies_write_it")]),
];

const NETWORK: Form = form(
    &["10.0.0.0/8", "192.0.2.1", "::1", "2001:db8::/32", "unix", "10.0.0.0/8,unix"],
    &["10.0.0.0/33", "example.org", "::1/129", ""],
    "takes an address, a network such as 10.0.0.0/8, or unix",
);
const KIND: Form = form(&["x-forwarded", "forwarded"], &["all", "", "X-Forwarded"], "takes x-forwarded or forwarded");
