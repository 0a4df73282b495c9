//! What is counted and logged of a request that is over, whatever its protocol.

use std::time::{Duration, SystemTime};

use crate::access_log::Record;
use crate::exchange::{Exchange, Opened};
use crate::refusal::Refusal;
use crate::scope::Peer;
use crate::stats::Stats;
use crate::worker::Worker;

/// How the access log asks for a request's name.
const REQUEST_ID: &str = "x-request-id";

/// An exchange is over; `refused` when the server answered in the application's place.
pub(crate) fn finished(exchange: &Exchange, refused: bool) {
    let worker = exchange.worker();
    let stats = &worker.stats;
    let outcome = exchange.outcome();
    Stats::add(&stats.requests, 1);
    if let Some(status) = outcome.status {
        stats.count_status(status);
    }
    match outcome.opened {
        None => stats.durations.observe(outcome.duration),
        Some(Opened::WebSocket) => Stats::sub(&stats.websockets, 1),
        Some(Opened::EventStream) => Stats::sub(&stats.event_streams, 1),
    }
    if refused {
        Stats::add(&stats.refused, 1);
    }
    worker.finished();
    if !worker.logs_access() {
        return;
    }
    let head = exchange.head();
    worker.log_access(&Record {
        client: exchange.peer().client.as_ref().map(|(address, _)| address.as_str()),
        method: head.method(),
        raw_path: head.raw_path(),
        query: head.query_string(),
        version: head.version.as_str(),
        tls: tls_version(exchange.peer()),
        status: outcome.status,
        body_bytes: outcome.body_bytes,
        duration: outcome.duration,
        finished: SystemTime::now(),
        headers: &|name| {
            // The log knows a request's name under one name, whatever its field is called.
            let field = if name == REQUEST_ID { worker.request_id_field().unwrap_or(name) } else { name };
            head.headers().get(field.as_bytes()).map(<[u8]>::to_vec)
        },
    });
}

fn tls_version(peer: &Peer) -> Option<&'static str> {
    peer.tls.as_ref().map(|tls| if tls.version >= 0x0304 { "TLSv1.3" } else { "TLSv1.2" })
}

/// What is known of a request that was refused before there was an exchange.
pub(crate) struct Refused<'a> {
    pub(crate) method: &'a [u8],
    pub(crate) target: &'a [u8],
    pub(crate) version: &'a str,
    /// As its answer calls it.
    pub(crate) name: Option<&'a [u8]>,
}

/// A request was refused before there was an exchange.
pub(crate) fn refused(worker: &Worker, peer: &Peer, refusal: Refusal, request: &Refused<'_>) {
    let Refused { method, target, version, name: id } = *request;
    let stats = &worker.stats;
    Stats::add(&stats.requests, 1);
    Stats::add(&stats.refused, 1);
    stats.count_status(refusal.status);
    worker.finished();
    let question = memchr::memchr(b'?', target).unwrap_or(target.len());
    worker.log_access(&Record {
        client: peer.client.as_ref().map(|(address, _)| address.as_str()),
        method,
        raw_path: &target[..question],
        query: target.get(question + 1..).unwrap_or_default(),
        version,
        tls: tls_version(peer),
        status: Some(refusal.status),
        body_bytes: refusal.text.len() as u64,
        duration: Duration::ZERO,
        finished: SystemTime::now(),
        headers: &|name| {
            let is_name =
                name == REQUEST_ID || worker.request_id_field().is_some_and(|field| name.eq_ignore_ascii_case(field));
            id.filter(|_| is_name).map(<[u8]>::to_vec)
        },
    });
}
