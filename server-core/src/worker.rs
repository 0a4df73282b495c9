//! What all connections of one worker share.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::{Notify, Semaphore};

use crate::access_log::{AccessLog, Record};
use crate::config::Config;
use crate::descriptors::Descriptors;
use crate::drain::Drain;
use crate::inbox::Inbox;
use crate::offload::outgoing::Outgoing;
use crate::offload::request_id::RequestIdOptions;
use crate::pool::jobs::Jobs;
use crate::proxy::forwarded::ProxyOptions;
use crate::scope::{Peer, RequestHead};
use crate::service::Service;
use crate::stats::Stats;
use crate::tls::Terminator;
use crate::wakes::Wakes;

/// Size of the shared read buffer: the most one read takes from a socket.
const SCRATCH: usize = 64 * 1024;

/// Shared parts of a worker; everything that belongs to one connection or exchange lives with it.
pub struct Worker {
    /// Limits and timers.
    pub config: Config,
    /// Totals.
    pub stats: Stats,
    /// Exchanges ready for the application side.
    pub inbox: Inbox,
    /// Connections to be polled.
    pub wakes: Wakes,
    /// Graceful shutdown.
    pub drain: Drain,
    /// Whether no other worker could take a connection: told by whoever knows them; true for a worker that is alone.
    pub others_are_full: Cell<bool>,
    /// This worker is at its connection limit, and has said so in the log.
    pub(crate) was_full: Cell<bool>,
    /// Connections being answered 503.
    pub(crate) turned_away: Cell<u32>,
    /// Sockets that belong to this process alone.
    pub descriptors: Descriptors,
    /// Jobs of a pool process.
    pub jobs: Jobs,
    services: OnceCell<Vec<Rc<dyn Service>>>,
    access_log: RefCell<Option<AccessLog>>,
    proxies: ProxyOptions,
    outgoing: Option<Box<Outgoing>>,
    request_id: Option<RequestIdOptions>,
    /// One read buffer for all connections: an idle connection holds no memory of its own.
    pub(crate) scratch: RefCell<Vec<u8>>,
    /// The same for what is still, or already, encrypted.
    pub(crate) ciphertext: RefCell<Vec<u8>>,
    /// What TLS listeners need, if there are any.
    pub tls: Option<Terminator>,
    /// Places for TLS handshakes.
    pub(crate) handshakes: Semaphore,
    /// A request was counted.
    finished: Notify,
    /// A connection has closed: acceptors that waited for room may look again.
    pub(crate) room: Notify,
}

impl Worker {
    /// A worker that has not begun to serve.
    #[must_use]
    pub fn new(config: Config, access_log: Option<AccessLog>) -> Self {
        Self {
            handshakes: Semaphore::new(config.max_tls_handshakes.min(Semaphore::MAX_PERMITS)),
            config,
            stats: Stats::default(),
            inbox: Inbox::default(),
            wakes: Wakes::default(),
            drain: Drain::default(),
            others_are_full: Cell::new(true),
            was_full: Cell::new(false),
            turned_away: Cell::new(0),
            descriptors: Descriptors::default(),
            jobs: Jobs::default(),
            services: OnceCell::new(),
            access_log: RefCell::new(access_log),
            scratch: RefCell::new(vec![0; SCRATCH]),
            ciphertext: RefCell::default(),
            tls: None,
            proxies: ProxyOptions::default(),
            outgoing: None,
            request_id: None,
            finished: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Installs the native services, once, before anything is accepted; later calls change nothing.
    pub fn install_services(&self, services: Vec<Rc<dyn Service>>) {
        let _ = self.services.set(services);
    }

    /// The job taken last is finished: the next ticket may be taken.
    pub fn job_finished(&self) {
        self.jobs.finish();
        self.room.notify_waiters();
    }

    pub(crate) fn services(&self) -> &[Rc<dyn Service>] {
        self.services.get().map_or(&[], Vec::as_slice)
    }

    /// The same worker, with what TLS listeners need.
    #[must_use]
    pub fn with_tls(self, tls: Option<Terminator>) -> Self {
        Self { tls, ..self }
    }

    /// The same worker, with proxies that it believes.
    #[must_use]
    pub fn with_proxies(self, proxies: ProxyOptions) -> Self {
        Self { proxies, ..self }
    }

    /// The same worker, with what it makes of responses.
    #[must_use]
    pub fn with_outgoing(self, outgoing: Outgoing) -> Self {
        Self { outgoing: (!outgoing.is_nothing()).then(|| Box::new(outgoing)), ..self }
    }

    /// The same worker, which names requests.
    #[must_use]
    pub fn with_request_id(self, request_id: Option<RequestIdOptions>) -> Self {
        Self { request_id, ..self }
    }

    /// The field with a request's name, where requests have names.
    #[must_use]
    pub fn request_id_field(&self) -> Option<&str> {
        self.request_id.as_ref().map(|options| options.header.as_str())
    }

    /// A request has come: who has made it, and under which name it goes on.
    pub(crate) fn admit(&self, peer: &Rc<Peer>, head: &mut RequestHead) -> Rc<Peer> {
        if let Some(request_id) = &self.request_id {
            request_id.name(head, self.proxies.trusts(peer));
        }
        self.proxies.see_through(peer, head)
    }

    /// Names a request that is refused before it is admitted; `given` is what its field holds.
    pub(crate) fn name_refused<'a>(&self, peer: &Peer, given: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
        self.request_id.as_ref().map(|request_id| request_id.name_refused(given, self.proxies.trusts(peer)))
    }

    pub(crate) fn outgoing(&self) -> Option<&Outgoing> {
        self.outgoing.as_deref()
    }

    pub(crate) fn proxies(&self) -> &ProxyOptions {
        &self.proxies
    }

    /// Current time of the monotonic clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Whether the connection limit is reached.
    pub fn is_full(&self) -> bool {
        self.stats.connections.get() >= self.config.max_connections as u64
    }

    /// Whether there is an access log: a record is not made for nothing.
    pub(crate) fn logs_access(&self) -> bool {
        self.access_log.borrow().is_some()
    }

    pub(crate) fn log_access(&self, record: &Record<'_>) {
        if let Some(log) = &mut *self.access_log.borrow_mut() {
            log.record(record);
        }
    }

    /// A request is in the totals, and will be in the access log when the current poll is over.
    pub(crate) fn finished(&self) {
        self.finished.notify_one();
    }

    /// Writes out the access log lines that are held.
    pub fn flush_access_log(&self) {
        if let Some(log) = &mut *self.access_log.borrow_mut() {
            log.flush();
        }
    }

    /// Waits until requests were finished since the last call: time to write out log lines and publish totals.
    pub async fn requests_finished(&self) {
        self.finished.notified().await;
    }

    /// Opens the access log file anew (log rotation).
    pub fn reopen_access_log(&self) {
        if let Some(log) = &mut *self.access_log.borrow_mut()
            && let Err(error) = log.reopen()
        {
            tracing::error!(%error, "cannot reopen the access log; the old file stays in use");
        }
    }
}
