use super::row::{PROCESSES, Row, SECONDS, WHOLE, row};

pub const ROWS: &[Row] = &[
    row("--pool", "0", PROCESSES, &[("pool.rs", "whole_requests_are_answered_by_pool_processes")]),
    row(
        "--pool-timeout",
        "30",
        SECONDS,
        &[("pool.rs", "a_pool_process_that_takes_too_long_is_answered_for_and_replaced")],
    ),
    row("--pool-queue-limit", "100", WHOLE, &[("pool.rs", "a_full_queue_is_answered_503_at_once")]),
    row("--pool-queue-timeout", "30", SECONDS, &[("pool.rs", "a_request_waits_for_the_pool_only_so_long")]),
    row(
        "--pool-buffer",
        "1048576",
        WHOLE,
        &[
            ("pool.rs", "a_slow_client_occupies_no_pool_process"),
            ("pool.rs", "a_small_buffer_makes_a_pool_process_wait_for_a_slow_client"),
        ],
    ),
];
