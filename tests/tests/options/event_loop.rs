use super::row::{Row, SECONDS, form, row};

pub const ROWS: &[Row] = &[
    row(
        "--loop",
        "auto",
        form(&["auto", "EV", "IO::Async::Loop::Poll", "_x"], &[], ""),
        &[("foreign_loop.rs", "ioa_5_the_chosen_loop_turns_and_serves")],
    )
    .refuses(&[
        (
            &["--loop", "not a loop"],
            "Invalid loop_type 'not a loop': must be auto or the name of a loop, such as EPoll, EV, Poll or Select",
        ),
        (
            &["-l", "A::"],
            "Invalid loop_type 'A::': must be auto or the name of a loop, such as EPoll, EV, Poll or Select",
        ),
    ]),
    row(
        "--slow-handler",
        "0.2",
        SECONDS,
        &[("loop_lag.rs", "blk_1_a_place_is_named_once_and_the_threshold_is_an_option")],
    ),
];
