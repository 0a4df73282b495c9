//! The admin listener: what monitoring asks over plain HTTP. Apart from the control socket, because it only tells and
//! never does anything, so that it can be opened to a network that must not control the server.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::unistd::{Gid, Uid};
use pagi_server_core::listener::Socket;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::address::{Address, Target};
use crate::control::Question;
use crate::control::status::{Status, WorkerState};
use crate::inherited::Inherited;
use crate::sockets::Sockets;

mod exposition;
mod metrics;

use exposition::Format;

/// How long a connection may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);
const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

type Ask = Rc<dyn Fn(Question)>;

/// The bound listener.
pub struct Admin {
    sockets: Sockets,
    services: Vec<JoinHandle<()>>,
}

impl Admin {
    /// Binds the address of `--admin-listen`, if there is one.
    ///
    /// # Errors
    /// The sentences of [`Sockets::bind`].
    pub fn open(address: Option<&Address>, inherited: &mut Inherited) -> Result<Option<Self>, String> {
        let Some(address) = address else { return Ok(None) };
        let sockets = Sockets::open(std::slice::from_ref(address), 1, 128, inherited)?;
        for address in sockets.addresses() {
            tracing::info!("Admin listener on {address}");
            if let Target::Tcp { host, .. } = &address.target
                && !is_local(host)
            {
                tracing::warn!("The admin listener can be reached from other machines; it asks nobody who they are");
            }
        }
        Ok(Some(Self { sockets, services: Vec::new() }))
    }

    /// The sockets, for handing them to another process.
    #[must_use]
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Makes inherited sockets our own.
    pub fn claim(&mut self) {
        self.sockets.claim_files();
    }

    /// Leaves the sockets to a server that has inherited everything and kept these files. Answers under way are still
    /// given.
    pub fn release(&mut self, kept: &[PathBuf]) {
        self.sockets.release_files(kept);
        self.services.drain(..).for_each(|service| service.abort());
    }

    /// Lets the user that the server will run as remove the socket file.
    ///
    /// # Errors
    /// Names the file whose owner cannot be changed.
    pub fn give_to(&self, uid: Option<Uid>, gid: Gid) -> Result<(), String> {
        self.sockets.give_files_to(uid, gid)
    }

    /// Answers requests from now on; inside a tokio `LocalSet`. A socket file stays until the value is dropped.
    ///
    /// # Errors
    /// When the socket cannot be watched.
    pub fn start(&mut self, ask: impl Fn(Question) + 'static) -> io::Result<()> {
        let ask: Ask = Rc::new(ask);
        for listener in self.sockets.clone_queues()? {
            let ask = Rc::clone(&ask);
            self.services.push(match listener.socket {
                Socket::Tcp(listener) => {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    tokio::task::spawn_local(async move {
                        loop {
                            let accepted = listener.accept().await;
                            welcome(accepted.map(|(stream, _)| stream), &ask).await;
                        }
                    })
                }
                Socket::Unix(listener, _) => {
                    let listener = tokio::net::UnixListener::from_std(listener)?;
                    tokio::task::spawn_local(async move {
                        loop {
                            let accepted = listener.accept().await;
                            welcome(accepted.map(|(stream, _)| stream), &ask).await;
                        }
                    })
                }
                // No address leads to one.
                Socket::Pool(_) => continue,
            });
        }
        Ok(())
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn welcome<S: AsyncRead + AsyncWrite + Unpin + 'static>(accepted: io::Result<S>, ask: &Ask) {
    let stream = match accepted {
        Ok(stream) => stream,
        Err(error) => {
            // Out of descriptors, most likely: trying again at once would burn the processor.
            tracing::warn!("Cannot accept on the admin listener: {error}");
            return tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let ask = Rc::clone(ask);
    tokio::task::spawn_local(async move {
        let service = service_fn(move |request| answer(request, Rc::clone(&ask)));
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!("Admin connection: {error}");
        }
    });
}

async fn answer(request: Request<Incoming>, ask: Ask) -> Result<Response<Full<Bytes>>, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(respond(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "Use GET\n".to_owned()));
    }
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/healthz" | "/readyz" | "/status.json") {
        let text = "No such resource; there are /metrics, /healthz, /readyz and /status.json\n";
        return Ok(respond(StatusCode::NOT_FOUND, PLAIN, text.to_owned()));
    }
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let (sender, receiver) = oneshot::channel();
    ask(Question::Status(sender));
    let Ok(status) = receiver.await else {
        return Ok(respond(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "The server is going down\n".to_owned()));
    };
    Ok(match path {
        "/metrics" => respond(StatusCode::OK, format.content_type(), metrics::render(&status, format)),
        "/status.json" => match serde_json::to_string(&status) {
            Ok(text) => respond(StatusCode::OK, JSON, text),
            Err(error) => respond(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, error.to_string()),
        },
        "/readyz" if !is_ready(&status) => {
            respond(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "No worker takes connections\n".to_owned())
        }
        // Whoever answers is healthy.
        _ => respond(StatusCode::OK, PLAIN, "ok\n".to_owned()),
    })
}

/// Whether new connections are served.
fn is_ready(status: &Status) -> bool {
    !status.stopping
        && status.workers.iter().any(|worker| matches!(worker.state, WorkerState::Ready | WorkerState::Retiring))
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
