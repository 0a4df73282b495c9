//! Answers requests on the control socket.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use super::verb::Verb;
use super::{Outcome, Question};

/// The path of [`Status`](super::status::Status).
pub const STATUS_PATH: &str = "/v1/status";
/// The path of the options in effect.
pub const CONFIG_PATH: &str = "/v1/config";

/// How long a connection may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
}

#[derive(Serialize)]
struct Success<'a> {
    message: &'a str,
}

/// Serves for ever.
pub(super) async fn run(listener: UnixListener, ask: impl Fn(Question) + 'static) {
    let ask: Rc<dyn Fn(Question)> = Rc::new(ask);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: trying again at once would burn the processor.
                tracing::warn!("Cannot accept on the control socket: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let ask = Rc::clone(&ask);
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| answer(request, Rc::clone(&ask)));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!("Control connection: {error}");
            }
        });
    }
}

async fn answer(request: Request<Incoming>, ask: Rc<dyn Fn(Question)>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    Ok(match (path == STATUS_PATH, Verb::parse(path, query)) {
        (true, _) if is_read => {
            let (sender, receiver) = oneshot::channel();
            ask(Question::Status(sender));
            receiver.await.map_or_else(|_| going_down(), |status| json(StatusCode::OK, &status))
        }
        (true, _) => use_method("GET, HEAD"),
        _ if path == CONFIG_PATH && is_read => {
            let (sender, receiver) = oneshot::channel();
            ask(Question::Config(sender));
            receiver.await.map_or_else(|_| going_down(), |options| json(StatusCode::OK, &options))
        }
        _ if path == CONFIG_PATH => use_method("GET, HEAD"),
        (false, None) => problem(StatusCode::NOT_FOUND, "No such resource; there are /v1/status and /v1/config"),
        (false, Some(_)) if request.method() != Method::POST => use_method("POST"),
        (false, Some(Err(sentence))) => problem(StatusCode::BAD_REQUEST, &sentence),
        (false, Some(Ok(order))) => {
            let (sender, receiver) = oneshot::channel();
            ask(Question::Verb(order, sender));
            receiver.await.map_or_else(|_| going_down(), |outcome| told(&outcome))
        }
    })
}

fn told(outcome: &Outcome) -> Response<Full<Bytes>> {
    match outcome {
        Outcome::Done(message) => json(StatusCode::OK, &Success { message }),
        Outcome::Refused(sentence) => problem(StatusCode::CONFLICT, sentence),
        Outcome::Failed(sentence) => problem(StatusCode::INTERNAL_SERVER_ERROR, sentence),
    }
}

fn going_down() -> Response<Full<Bytes>> {
    problem(StatusCode::SERVICE_UNAVAILABLE, "The server is going down")
}

fn use_method(methods: &'static str) -> Response<Full<Bytes>> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("Use {methods}"));
    response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static(methods));
    response
}

fn problem(status: StatusCode, error: &str) -> Response<Full<Bytes>> {
    json(status, &Problem { error })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let (status, bytes) = match serde_json::to_vec(body) {
        Ok(bytes) => (status, bytes),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string().into_bytes()),
    };
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}
