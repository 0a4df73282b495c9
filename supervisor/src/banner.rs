//! The line that says where the server listens. Operators and test suites search for it.

use crate::address::Address;
use crate::settings::Settings;

/// Composes the banner for addresses as they were bound.
#[must_use]
pub fn compose(settings: &Settings, addresses: &[&Address], queues: &[usize]) -> String {
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let listening = match shown.as_slice() {
        [one] => format!("listening on {one}"),
        several => format!("listening on: {}", several.join(", ")),
    };
    let connections = settings.http.max_connections;
    let loop_name = settings.event_loop.foreign().unwrap_or("native");
    let tls = match &settings.tls {
        Some(_) if addresses.iter().any(|address| address.tls()) => "on",
        Some(_) => "disabled",
        None => "available",
    };
    let http2 = http2(settings, tls == "on");
    if settings.has_workers() {
        let sharing = if queues.iter().any(|&number| number > 1) { "reuseport" } else { "shared-socket" };
        let workers = settings.processes.workers.max(1);
        format!(
            "PAGI Server (multi-worker, {sharing}) {listening} with {workers} workers \
             (loop: {loop_name}, max_conn: {connections}/worker, http2: {http2}, tls: {tls})"
        )
    } else {
        format!(
            "PAGI Server {listening} \
             (loop: {loop_name}, max_conn: {connections}, http2: {http2}, tls: {tls})"
        )
    }
}

/// The reference server's words: spoken with everybody, with cleartext clients, or on request.
fn http2(settings: &Settings, tls: bool) -> &'static str {
    let options = &settings.http2;
    match (tls && !options.no_http2, options.http2) {
        (true, true) => "on (h2, h2c)",
        (true, false) => "on",
        (false, true) => "on (h2c)",
        (false, false) => "available",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    fn banner(arguments: &[&str], queues: &[usize]) -> String {
        let arguments = ["pagi-server", "-E", "none"].iter().chain(arguments).map(Into::into);
        let settings = settings::read(arguments).unwrap().settings;
        let addresses: Vec<&Address> = settings.listen.iter().collect();
        compose(&settings, &addresses, queues)
    }

    #[test]
    fn single() {
        assert_eq!(
            banner(&["--host", "127.0.0.1", "--port", "5000"], &[1]),
            "PAGI Server listening on http://127.0.0.1:5000/ \
             (loop: native, max_conn: 1000, http2: available, tls: available)"
        );
    }

    #[test]
    fn several_listeners_and_workers() {
        let arguments = ["-w", "4", "--max-connections", "50", "--listen", "[::1]:80", "--listen", "/run/app.sock"];
        assert_eq!(
            banner(&arguments, &[4, 1]),
            "PAGI Server (multi-worker, reuseport) listening on: http://[::1]:80/, unix:/run/app.sock \
             with 4 workers (loop: native, max_conn: 50/worker, http2: available, tls: available)"
        );
        assert!(banner(&arguments, &[1, 1]).starts_with("PAGI Server (multi-worker, shared-socket) listening"));
    }
}
