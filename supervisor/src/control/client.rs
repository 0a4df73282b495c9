//! One request to a control socket.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// How long a server may take to answer; one without workers answers between two requests of its application.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens there.
    Unreachable(String),
    /// Somebody does, but did not answer as a server should.
    BadAnswer(String),
}

/// Fetches a resource.
///
/// # Errors
/// See [`Failure`]; the texts are sentences.
pub fn get(socket: &Path, path: &str) -> Result<Bytes, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unreachable(format!("Cannot start: {error}")))?;
    let late = || format!("The server at {} does not answer", socket.display());
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE, fetch(socket, path)).await.map_err(|_| Failure::BadAnswer(late()))?
    })
}

async fn fetch(socket: &Path, path: &str) -> Result<Bytes, Failure> {
    let shown = socket.display();
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| Failure::Unreachable(format!("Cannot connect to {shown}: {error}")))?;
    let broken = |error: hyper::Error| Failure::BadAnswer(format!("The server at {shown} broke off: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let request = Request::get(path).header("host", "pagi").body(Empty::<Bytes>::new());
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
        (status, body) => {
            let text = String::from_utf8_lossy(&body).into_owned();
            Err(Failure::BadAnswer(format!("The server at {shown} answered {status}: {text}")))
        }
    }
}
