//! Reads a PROXY preamble off a connection, and not one byte more: what follows may be a TLS handshake.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::ReadBuf;

use super::preamble::{self, Addresses, FIXED, MAX_LINE, Preamble, SIGNATURE, WORD};
use crate::drain::Phase;
use crate::scope::Peer;
use crate::timer::Timer;
use crate::transport::Transport;
use crate::worker::Worker;

/// The peer that the proxy speaks for; the error says why there is nobody to serve.
pub(crate) async fn read<T: Transport + AsFd>(
    io: &mut T,
    peer: &Rc<Peer>,
    worker: &Worker,
) -> Result<Rc<Peer>, String> {
    if !worker.proxies().trusts(peer) {
        return Err("it is not in the networks of --trusted-proxies".to_owned());
    }
    let mut attempt = Attempt { io, bytes: Vec::new() };
    let mut timer = Timer::default();
    let seat = worker.drain.seat();
    let limit = worker.config.header_timeout;
    let deadline = limit.map(|limit| worker.now() + limit);
    let preamble = poll_fn(|cx| {
        // No request has begun: a server that stops has no reason to wait for one.
        if seat.watch(cx) != Phase::Running {
            return Poll::Ready(Err("the server stops".to_owned()));
        }
        if let Poll::Ready(outcome) = attempt.poll(cx) {
            return Poll::Ready(outcome);
        }
        ready!(timer.poll_until(cx, deadline));
        Poll::Ready(Err(format!("it sends no PROXY header within {} s", limit.unwrap_or_default().as_secs_f64())))
    })
    .await?;
    Ok(seen(peer, preamble))
}

fn seen(peer: &Rc<Peer>, preamble: Preamble) -> Rc<Peer> {
    let Preamble::Proxied { addresses, secure } = preamble else { return Rc::clone(peer) };
    let (client, server) = match addresses {
        Some(Addresses { client, server }) => {
            let show = |address: std::net::SocketAddr| (address.ip().to_canonical().to_string(), address.port());
            let (host, port) = show(server);
            (Some(show(client)), (host, Some(port)))
        }
        None => (None, peer.server.clone()),
    };
    Rc::new(Peer { client, server, tls: None, secure: secure.unwrap_or(peer.secure) })
}

struct Attempt<'a, T> {
    io: &'a mut T,
    bytes: Vec<u8>,
}

impl<T: Transport + AsFd> Attempt<'_, T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Preamble, String>> {
        let wrong = |what: &str| Poll::Ready(Err(format!("its PROXY header cannot be read: {what}")));
        loop {
            let missing = match self.missing() {
                Ok(Missing::Nothing(preamble)) => return Poll::Ready(Ok(preamble)),
                Ok(Missing::Bytes(count)) => count,
                Ok(Missing::Line) => match self.rest_of_line() {
                    Ok(count) => count,
                    Err(error) => return wrong(&error.to_string()),
                },
                Err(what) => return wrong(what),
            };
            match ready!(self.poll_take(cx, missing)) {
                Ok(0) => return wrong("the connection ends"),
                Ok(_) => {}
                Err(error) => return wrong(&error.to_string()),
            }
        }
    }

    /// What has to be read next.
    fn missing(&self) -> Result<Missing, &'static str> {
        let bytes = &self.bytes;
        let common = |expected: &[u8]| bytes.iter().zip(expected).all(|(byte, expected)| byte == expected);
        if common(&SIGNATURE) && !bytes.is_empty() {
            let Some((fixed, variable)) = bytes.split_first_chunk::<FIXED>() else {
                return Ok(Missing::Bytes(FIXED - bytes.len()));
            };
            let length = preamble::variable_length(fixed)?;
            if variable.len() < length {
                return Ok(Missing::Bytes(length - variable.len()));
            }
            return preamble::parse_binary(fixed, variable).map(Missing::Nothing);
        }
        if !common(WORD) {
            return Err("there is none");
        }
        match bytes.len() {
            // Fewer than both versions have at least.
            length if length < WORD.len() => Ok(Missing::Bytes(WORD.len() - length)),
            _ if bytes.ends_with(b"\n") => preamble::parse_line(bytes).map(Missing::Nothing),
            length if length >= MAX_LINE => Err("its line is longer than 107 bytes"),
            _ => Ok(Missing::Line),
        }
    }

    /// How much of what has arrived belongs to the line; 1 when nothing has.
    fn rest_of_line(&self) -> io::Result<usize> {
        let mut arrived = [0; MAX_LINE];
        let room = MAX_LINE - self.bytes.len();
        match recv(self.io.as_fd(), &mut arrived[..room], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((length, _)) => Ok(memchr::memchr(b'\n', &arrived[..length]).map_or(length.max(1), |end| end + 1)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(1),
            Err(error) => Err(error.into()),
        }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, count: usize) -> Poll<io::Result<usize>> {
        let before = self.bytes.len();
        self.bytes.resize(before + count, 0);
        let mut target = ReadBuf::new(&mut self.bytes[before..]);
        let polled = Pin::new(&mut *self.io).poll_read(cx, &mut target);
        let read = target.filled().len();
        self.bytes.truncate(before + read);
        polled.map_ok(|()| read)
    }
}

enum Missing {
    Nothing(Preamble),
    Bytes(usize),
    /// Of a line whose end has not come: how many is to be found out.
    Line,
}
