use super::row::{POSITIVE, Row, row};

pub const ROWS: &[Row] = &[
    row("--store-entries", "100000", POSITIVE, LIMITS),
    row("--store-bytes", "67108864", POSITIVE, LIMITS),
    row("--store-item-bytes", "1048576", POSITIVE, LIMITS),
    row("--store-backlog", "16777216", POSITIVE, &[("perl/shared/workers.t", "a worker that does not listen")]),
];

const LIMITS: &[(&str, &str)] = &[("perl/shared/workers.t", "limits of the command line")];
