//! More rows for the table of options: logs, processes, privileges.

use super::*;
use crate::log::{Destination, Format};
use pagi_server_core::coding::Coding;
use pagi_server_core::offload::request_id::Source;
use pagi_server_core::proxy::forwarded::Fields;

pub(super) const EFFECTS: &[(&[&str], Check)] = &[
    (&["--max-request-line", "100"], |s| s.http_config().max_request_line == 100),
    (&["--receive-window", "9"], |s| s.http_config().receive_window == 9),
    (&["--drain-limit", "0"], |s| s.http_config().drain_limit == 0),
    (&["--server-header", ""], |s| s.http_config().server_header.is_empty()),
    (&["--server-header", "mine/1"], |s| s.http_config().server_header == "mine/1"),
    // Accepted for command lines of the reference server.
    (&["--sync-file-threshold", "0"], |s| s.http.sync_file_threshold == 0),
    (&["-s", "PAGI::Server"], |s| s.app_spec().source == AppSource::Default),
    (&["--future-xs"], |s| s.app.future_xs),
    (&["--max-requests", "10", "--max-requests-jitter", "5"], |s| s.processes.max_requests_jitter == 5),
    (&["-w", "2", "--pool", "3"], |s| s.pool.pool == 3),
    (&["--pool-timeout", "5"], |s| s.pool.pool_timeout == Duration::from_secs(5)),
    (&["--pool-queue-limit", "5"], |s| s.pool.pool_queue_limit == 5),
    (&["--pool-queue-timeout", "5"], |s| s.pool.pool_queue_timeout == Duration::from_secs(5)),
    (&["--pool-buffer", "5"], |s| s.pool.pool_buffer == 5),
    (&["--trusted-proxies", "10.0.0.0/8,unix", "--trusted-proxies", "::1"], |s| s.offload().proxies.trusted.len() == 3),
    (&["--proxy-headers", "forwarded"], |s| s.offload().proxies.fields == Fields::Forwarded),
    (&["--x-sendfile", "a", "--x-sendfile", "/b"], |s| {
        s.offload().delegate.directories == [Path::new("/srv/here/a"), Path::new("/b")]
    }),
    (&["--x-accel-redirect", "/p/=a"], |s| {
        s.offload().delegate.locations == [("/p".to_owned(), PathBuf::from("/srv/here/a"))]
    }),
    (&["--compress", "zstd,gzip"], |s| s.offload().compression.codings == [Coding::Zstd, Coding::Gzip]),
    (&["--compress-min-size", "7"], |s| s.offload().compression.min_size == 7),
    (&["--compress-level", "7"], |s| s.offload().compression.level == 7),
    (&["--compress-types", "A/b,text/*"], |s| s.offload().compression.types == ["a/b", "text/*"]),
    (&["--request-id", "accept"], |s| s.offload().request_id.is_some_and(|options| options.header == "x-request-id")),
    (&["--request-id", "generate", "--request-id-header", "X-Trace"], |s| {
        s.pool_offload()
            .request_id
            .is_some_and(|options| options.header == "x-trace" && options.source == Source::Accept)
    }),
    (&["--request-id-header", "x"], |s| s.offload().request_id.is_none()),
    (&["--security-headers"], |s| s.offload().fields.security),
    (&["--hsts", "60"], |s| s.offload().fields.hsts == Some(60)),
    (&["--response-header", "X-A:  b: c "], |s| s.offload().fields.fields == [("x-a".to_owned(), "b: c".to_owned())]),
    (&["--rate-limit", "100/0.5", "--rate-limit-clients", "7"], |s| {
        s.offload()
            .rate
            .is_some_and(|rate| (rate.requests, rate.period, rate.clients) == (100, Duration::from_millis(500), 7))
    }),
    (&["--mount", "/api=My::App,arg=k=v"], |s| {
        let mount = &s.app_spec().mounts[0];
        mount.place == "\t/api/\tMy::App" && mount.arguments == ["k=v"]
    }),
    (&["--static", "/a=b"], |s| s.offload().folders[0].directory == Path::new("/srv/here/b")),
    (&["--store-entries", "5"], |s| s.store.store_entries == 5),
    (&["--store-bytes", "5"], |s| s.store.store_bytes == 5),
    (&["--store-item-bytes", "5"], |s| s.store.store_item_bytes == 5),
    (&["--store-backlog", "5"], |s| s.store.store_backlog == 5),
    (&["--loop", "EV"], |s| s.event_loop.foreign() == Some("EV")),
    (&["--slow-handler", "5"], |s| s.event_loop.slow_handler == Duration::from_secs(5)),
    (&["--max-worker-age", "60"], |s| s.limits().age == Some(Duration::from_secs(60))),
    (&["--max-worker-rss", "1000000"], |s| s.processes.max_worker_rss == 1_000_000),
    (&["--refork-after", "7"], |s| s.processes.refork_after == 7),
    (&["--reload-batch", "2"], |s| s.limits().batch == 2),
    (&["--reload-timeout", "0"], |s| s.limits().load.is_none()),
    (&["--allow-root"], |s| s.service.allow_root),
    (&["--admin-listen", "127.0.0.1:9000"], |s| s.service.admin_listen.is_some()),
    (&["--access-log-sample", "10"], |s| s.access_log.as_ref().is_some_and(|log| log.one_of == 10)),
    (&["--access-log-format", "json"], |s| s.access_log.as_ref().is_some_and(|log| log.format == "json")),
    (&["--log", "server.log"], |s| s.log.destination == Destination::File("/srv/here/server.log".into())),
    (&["--log", "journald"], |s| matches!(s.log.destination, Destination::Journald(_)) && s.captures_stderr()),
    (&["--log", "syslog"], |s| matches!(s.log.destination, Destination::Syslog(_))),
    (&["--log", "stderr"], |s| s.log.destination == Destination::Stderr && !s.captures_stderr()),
    (&["--log-format", "json"], |s| s.log.format == Format::Json && s.captures_stderr()),
    (&["--log-format", "text", "-w", "2"], |s| s.log.format == Format::Text && s.captures_stderr()),
];

#[test]
fn the_rest_of_the_options_have_their_effect() {
    for (arguments, check) in EFFECTS {
        let settings = settings(arguments);
        assert!(check(&settings), "{arguments:?} gave {settings:?}");
    }
}
