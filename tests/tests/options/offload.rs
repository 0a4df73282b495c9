use super::row::{Form, LEVEL, POSITIVE, Row, SWITCH, TEXT, WHOLE, form, row};

pub const ROWS: &[Row] = &[
    row(
        "--static",
        "",
        FOLDER,
        &[
            ("static_files.rs", "a_file_comes_with_its_fields_and_without_the_application"),
            ("static_files.rs", "the_longest_prefix_wins_and_root_path_is_not_part_of_it"),
        ],
    )
    .refuses(&[
        (&["--static", "a=b"], "--static takes a path that starts with '/', not encoded, got 'a=b'"),
        (
            &["--static", "/a=b,index=../x"],
            "--static takes the name of a file in the directory after index=, got '/a=b,index=../x'",
        ),
        (
            &["--static", "/a=b,max-age=x"],
            "--static takes a whole number of seconds after max-age=, got '/a=b,max-age=x'",
        ),
        (&["--static", "/a=b,host="], "--static takes a host name without a port after host=, got '/a=b,host='"),
        (
            &["--static", "/a=b,lisitng"],
            "--static takes host=, index=, no-index, listing, fallthrough, no-precompressed, max-age= and immutable \
             after the directory, got '/a=b,lisitng'",
        ),
    ]),
    row("--x-sendfile", "", TEXT, SENT),
    row("--x-accel-redirect", "", LOCATION, SENT).refuses(&[(
        &["--x-accel-redirect", "p=d"],
        "--x-accel-redirect takes a path that starts with '/', not encoded, got 'p=d'",
    )]),
    row("--compress", "", CODING, &[("compression.rs", "each_coding_can_be_read")]),
    row("--compress-min-size", "1024", WHOLE, SUITABLE),
    row("--compress-level", "4", LEVEL, &[("compression.rs", "more_effort_makes_less_of_it")]),
    row("--compress-types", "", TYPES, SUITABLE).by_default("text, and what is text in other families"),
    row("--request-id", "off", REQUEST_ID, NAMED),
    row("--request-id-header", "x-request-id", FIELD_NAME, NAMED),
    row("--security-headers", "false", SWITCH, FIELDS),
    row("--hsts", "0", WHOLE, FIELDS),
    row("--response-header", "", FIELD, FIELDS),
    row("--rate-limit", "", RATE, &[("request_fields.rs", "more_requests_than_allowed_are_answered_429")]),
    row(
        "--rate-limit-clients",
        "10000",
        POSITIVE,
        &[("request_fields.rs", "tokens_come_back_and_the_table_is_bounded")],
    ),
];

const SENT: &[(&str, &str)] = &[("sendfile.rs", "the_file_takes_the_place_of_the_body")];
const SUITABLE: &[(&str, &str)] = &[("compression.rs", "what_is_not_suitable_goes_out_as_it_is")];
const NAMED: &[(&str, &str)] = &[("request_fields.rs", "a_request_has_one_name_everywhere")];
const FIELDS: &[(&str, &str)] = &[("request_fields.rs", "responses_get_the_fields_they_do_not_have")];
const FOLDER: Form = form(
    &[
        "/=public",
        "/a/b/=/srv/x=y",
        "/a=b,host=Example.org,index=home.htm,listing,fallthrough,no-precompressed,max-age=60,immutable",
        "/a=b,no-index,no-listing,no-fallthrough,precompressed,no-immutable",
    ],
    &["/a", "/a=", ""],
    "takes a path and a directory, such as /assets=public",
);
const LOCATION: Form =
    form(&["/protected/=/srv/files"], &["/p", "/p="], "takes a path and a directory, such as /protected=/srv/files");
const CODING: Form = form(&["gzip", "zstd,br,gzip"], &["deflate", ""], "takes gzip, br and zstd");
const TYPES: Form =
    form(&["text/*", "A/b,text/html"], &["html", "/html", "text/"], "takes media types such as text/html or text/*");
const REQUEST_ID: Form =
    form(&["off", "generate", "trusted", "accept"], &["on", ""], "takes off, generate, trusted or accept");
const FIELD_NAME: Form = form(&["X-Trace"], &["a b", "a:", ""], "takes the name of a field");
const FIELD: Form =
    form(&["X-A:  b: c "], &["X", "X:", ": x", "X Y: z"], "takes a field such as 'X-Robots-Tag: noindex'");
const RATE: Form =
    form(&["100/60", "1/0.5"], &["0/1", "5/0", "5", "5/x", "-5/1"], "takes requests and seconds, such as 100/60");
