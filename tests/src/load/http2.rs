//! Clients that speak HTTP/2: several requests at a time on one connection, a new one when the server says GOAWAY.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Fate, Progress, Tally};
use crate::raw::PATIENCE;

type Requests = SendRequest<Bytes>;

pub(super) fn work(address: SocketAddr, path: &str, streams: usize, progress: &Progress) -> Tally {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async {
        let mut tally = Tally::default();
        while !progress.is_over() {
            // Answers are counted when a connection ends, except towards the progress, which is told at once.
            match timeout(PATIENCE, connect(address)).await {
                Ok(Some(requests)) => spend(requests, address, path, streams, progress, &mut tally).await,
                _ => {
                    progress.count(&mut tally, Fate::Refused);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        tally
    })
}

async fn connect(address: SocketAddr) -> Option<Requests> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (requests, connection) = h2::client::handshake(stream).await.ok()?;
    tokio::spawn(connection);
    Some(requests)
}

/// Uses a connection until the server wants no more on it.
async fn spend(
    requests: Requests,
    address: SocketAddr,
    path: &str,
    streams: usize,
    progress: &Progress,
    tally: &mut Tally,
) {
    let uri = format!("http://{address}{path}");
    let mut running = JoinSet::new();
    let mut open = true;
    loop {
        while open && running.len() < streams && !progress.is_over() {
            // The server has said GOAWAY, or the connection is gone: no request was made.
            let Ok(mut ready) = requests.clone().ready().await else {
                open = false;
                break;
            };
            let request = Request::get(uri.as_str()).body(()).expect("a request can be made");
            match ready.send_request(request, true) {
                Ok((response, _)) => running.spawn(fate(response)),
                Err(_) => {
                    open = false;
                    break;
                }
            };
        }
        match running.join_next().await {
            Some(fate) => progress.count(tally, fate.expect("a request does not panic")),
            None => return,
        }
    }
}

async fn fate(response: h2::client::ResponseFuture) -> Fate {
    match timeout(PATIENCE, finish(response)).await {
        Ok(fate) => fate,
        Err(_) => Fate::TimedOut,
    }
}

async fn finish(response: h2::client::ResponseFuture) -> Fate {
    let response = match response.await {
        Ok(response) => response,
        // A stream above the last one that the server promised to serve: it may be repeated.
        Err(error) if error.is_go_away() && error.is_remote() => return Fate::Closed,
        Err(_) => return Fate::Reset,
    };
    let status = response.status();
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                let _ = body.flow_control().release_capacity(data.len());
            }
            Err(_) => return Fate::Truncated,
        }
    }
    if status == StatusCode::OK { Fate::Answered } else { Fate::Failed }
}
