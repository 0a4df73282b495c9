//! One request to a control socket.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens there.
    Unreachable(String),
    /// Somebody does, but did not answer as a server should.
    BadAnswer(String),
}

/// Sends a request and returns the body of the answer. Without a bound the answer is waited for as long as the
/// server lives.
///
/// # Errors
/// See [`Failure`]; the texts are sentences.
pub fn ask(socket: &Path, method: &Method, path: &str, patience: Option<Duration>) -> Result<Bytes, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unreachable(format!("Cannot start: {error}")))?;
    let late = |patience: Duration| {
        Failure::BadAnswer(format!(
            "The server at {} has not answered within {} seconds",
            socket.display(),
            patience.as_secs_f64()
        ))
    };
    runtime.block_on(async {
        let exchange = fetch(socket, method, path);
        match patience {
            Some(patience) => tokio::time::timeout(patience, exchange).await.map_err(|_| late(patience))?,
            None => exchange.await,
        }
    })
}

async fn fetch(socket: &Path, method: &Method, path: &str) -> Result<Bytes, Failure> {
    let shown = socket.display();
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| Failure::Unreachable(format!("Cannot connect to {shown}: {error}")))?;
    let broken = |error: hyper::Error| Failure::BadAnswer(format!("The server at {shown} broke off: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::builder().method(method).uri(path).header("host", "pagi").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| Failure::BadAnswer(error.to_string()))?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        // Lets the connection end.
        drop(sender);
        Ok((status, body))
    };
    let (answer, _) = tokio::join!(exchange, connection);
    match answer.map_err(broken)? {
        (StatusCode::OK, body) => Ok(body),
        (status, body) => Err(Failure::BadAnswer(explain(&shown.to_string(), status, &body))),
    }
}

/// The sentence in the answer if there is one.
fn explain(socket: &str, status: StatusCode, body: &[u8]) -> String {
    let told = serde_json::from_slice::<serde_json::Value>(body).ok();
    let sentence = told.as_ref().and_then(|told| told.get("error")?.as_str());
    sentence.map_or_else(
        || format!("The server at {socket} answered {status}: {}", String::from_utf8_lossy(body)),
        ToOwned::to_owned,
    )
}
