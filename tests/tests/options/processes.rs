use super::row::{POSITIVE, PROCESSES, Row, SECONDS, SWITCH, WHOLE, row};

pub const ROWS: &[Row] = &[
    row("--workers", "0", PROCESSES, &[("metrics.rs", "memory_of_every_process_is_told")]),
    row(
        "--no-preload",
        "false",
        SWITCH,
        &[("loading.rs", "run_5_without_preloading_each_worker_is_a_load_of_its_own")],
    )
    .refuses(&[(
        &["--no-preload", "--reload"],
        "--reload cannot be used with --no-preload: it loads the application once for all workers",
    )]),
    row(
        "--reload",
        "false",
        SWITCH,
        &[("development.rs", "what_is_saved_is_served_and_what_cannot_be_loaded_is_explained")],
    ),
    row(
        "--max-requests",
        "0",
        WHOLE,
        &[("processes.rs", "max_requests_replaces_workers_under_load_without_losing_anything")],
    ),
    row("--max-requests-jitter", "0", WHOLE, &[("processes.rs", "max_requests_jitter_spreads_the_limit")]),
    row("--max-worker-age", "0", SECONDS, REPLACED),
    row("--max-worker-rss", "0", WHOLE, REPLACED),
    row(
        "--heartbeat-timeout",
        "50",
        SECONDS,
        &[
            ("processes.rs", "blk_4_a_worker_in_an_endless_loop_is_killed_and_replaced"),
            ("supervisor/supervision.rs", "a_blocked_worker_is_killed_and_replaced"),
        ],
    ),
    row("--refork-after", "0", WHOLE, &[("supervisor/refork.rs", "a_worker_is_reforked_by_itself_once_it_is_warm")]),
    row(
        "--reload-batch",
        "1",
        POSITIVE,
        &[("processes.rs", "a_reload_replaces_as_many_workers_at_a_time_as_asked_for")],
    ),
    row(
        "--reload-timeout",
        "300",
        SECONDS,
        &[("supervisor/reload.rs", "code_that_hangs_while_loading_is_rolled_back")],
    ),
    row(
        "--shutdown-timeout",
        "30",
        SECONDS,
        &[("processes.rs", "cxl_2_the_shutdown_timeout_bounds_a_request_that_does_not_end")],
    ),
];

const REPLACED: &[(&str, &str)] = &[("supervisor/supervision.rs", "old_and_big_workers_are_replaced_without_a_gap")];
