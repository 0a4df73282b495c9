//! The handshake of one connection: bounded in time, and told apart from people who speak HTTP to a TLS port.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use rustls::{HandshakeKind, ProtocolVersion};
use tokio::io::ReadBuf;

use super::context::Context as TlsContext;
use super::info::{Protocol, TlsInfo};
use super::resolver::{Choice, take_choice};
use super::session::Session;
use super::stream::{self, TlsStream};
use super::{name, pem};
use crate::drain::{Phase, Seat};
use crate::timer::Timer;
use crate::transport::Transport;
use crate::worker::Worker;

/// What one read takes during a handshake.
const READ: usize = 8 * 1024;

/// How a handshake ended.
pub(crate) enum Handshake<T> {
    /// The stream is encrypted.
    Done(Box<TlsStream<T>>, TlsInfo),
    /// The client has sent an HTTP request in the clear: the socket, and what it has sent so far.
    PlainHttp(T, Vec<u8>),
    /// It came to nothing, for this reason.
    Failed(String),
}

/// Makes the handshake.
pub(crate) async fn accept<T: Transport>(io: T, context: Rc<TlsContext>, worker: &Rc<Worker>) -> Handshake<T> {
    let session = match Session::new(context.config.clone()) {
        Ok(session) => session,
        Err(error) => return Handshake::Failed(error.to_string()),
    };
    let mut attempt = Attempt { io, session, choice: None, begun: false };
    let mut timer = Timer::default();
    let seat = worker.drain.seat();
    let limit = worker.config.tls_handshake_timeout;
    let deadline = limit.map(|limit| worker.now() + limit);
    let outcome = poll_fn(|cx| {
        if let Poll::Ready(outcome) = attempt.poll(cx, worker, &seat) {
            return Poll::Ready(outcome);
        }
        ready!(timer.poll_until(cx, deadline));
        let seconds = limit.unwrap_or_default().as_secs_f64();
        Poll::Ready(Err(Trouble::Failed(format!("not finished after {seconds} s"))))
    })
    .await;
    match outcome {
        Ok(()) => attempt.finish(&context, worker),
        Err(Trouble::PlainHttp(bytes)) => Handshake::PlainHttp(attempt.io, bytes),
        Err(Trouble::Failed(reason)) => Handshake::Failed(reason),
    }
}

enum Trouble {
    PlainHttp(Vec<u8>),
    Failed(String),
}

struct Attempt<T> {
    io: T,
    session: Session,
    /// The certificate that was chosen, once the client has said what it wants.
    choice: Option<Choice>,
    /// The first bytes were TLS.
    begun: bool,
}

impl<T: Transport> Attempt<T> {
    fn poll(&mut self, cx: &mut Context<'_>, worker: &Worker, seat: &Seat<'_>) -> Poll<Result<(), Trouble>> {
        if seat.watch(cx) == Phase::Aborting {
            return Poll::Ready(Err(Trouble::Failed("the server stops".to_owned())));
        }
        self.poll_records(cx, worker).map_err(|trouble| match trouble {
            Ok(trouble) => trouble,
            Err(error) => Trouble::Failed(reason(&error)),
        })
    }

    fn poll_records(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<Result<(), Result<Trouble, io::Error>>> {
        loop {
            ready!(stream::send(&mut self.io, &mut self.session, cx)).map_err(Err)?;
            if self.begun && !self.session.connection.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.session.peer_closed {
                return Poll::Ready(Err(Err(io::ErrorKind::UnexpectedEof.into())));
            }
            let mut scratch = worker.ciphertext.borrow_mut();
            let kept = self.session.lay_out(&mut scratch, READ);
            let mut read = ReadBuf::new(&mut scratch[kept..kept + READ]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut read)).map_err(Err)?;
            let length = read.filled().len();
            if length == 0 {
                return Poll::Ready(Err(Err(io::ErrorKind::UnexpectedEof.into())));
            }
            if !std::mem::replace(&mut self.begun, true) && scratch[0].is_ascii_uppercase() {
                // No record begins with a letter, and every request does.
                return Poll::Ready(Err(Ok(Trouble::PlainHttp(scratch[..length].to_vec()))));
            }
            let taken = self.session.take_in(&mut scratch[..kept + length], None);
            drop(scratch);
            if let Some(choice) = take_choice() {
                self.choice = Some(choice);
            }
            if let Err(error) = taken {
                // The alert says more to the client than a closed socket does.
                let _ = stream::send(&mut self.io, &mut self.session, cx);
                return Poll::Ready(Err(Err(error)));
            }
        }
    }

    fn finish(self, context: &TlsContext, worker: &Rc<Worker>) -> Handshake<T> {
        let connection = &self.session.connection;
        let chain = connection.peer_certificates().unwrap_or_default();
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        let client_cert_error = match context.clients.judge(chain, resumed) {
            Ok(fault) => fault,
            Err(reason) => return Handshake::Failed(reason),
        };
        // A handshake without a client hello does not exist.
        let Some(choice) = self.choice else { return Handshake::Failed("no certificate was chosen".to_owned()) };
        let info = TlsInfo {
            version: connection.protocol_version().map_or(0, ProtocolVersion::into),
            cipher_suite: connection.negotiated_cipher_suite().map_or(0, |suite| suite.suite().into()),
            protocol: Protocol::of(connection.alpn_protocol()),
            server_name: choice.server_name,
            server_cert: choice.pem,
            client_cert_chain: chain.iter().map(|certificate| pem::certificate(certificate)).collect(),
            client_cert_name: chain.first().and_then(|leaf| name::of_subject(leaf)),
            client_cert_error,
            resumed,
        };
        Handshake::Done(Box::new(TlsStream::new(self.io, self.session, Rc::clone(worker))), info)
    }
}

/// What an operator reads about a failed handshake.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the client closed the connection".to_owned(),
        _ => error.to_string(),
    }
}
