//! A TLS session without a socket: ciphertext in, plaintext out, and the other way round.
//!
//! It is built on the library's unbuffered interface, so that an idle connection holds no buffers: bytes are decrypted
//! and encrypted in memory that all connections of a worker share, and only what is left over is kept here.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use tokio::io::ReadBuf;

/// Most ciphertext kept for want of its end: a record is at most 16 KiB and a little, a handshake message may have
/// several.
const MAX_INCOMING: usize = 64 * 1024;

/// State of one connection.
pub(super) struct Session {
    pub(super) connection: Box<UnbufferedServerConnection>,
    /// Ciphertext whose end has not come yet.
    incoming: Vec<u8>,
    /// Decrypted bytes that nobody had room for, and how many of them are taken.
    plain: Vec<u8>,
    taken: usize,
    /// Ciphertext the socket has not taken yet, and how much of it is sent.
    outgoing: Vec<u8>,
    sent: usize,
    /// The client has said that it sends no more.
    pub(super) peer_closed: bool,
    said_goodbye: bool,
    /// The client has broken the protocol; all that is left is to send what was queued.
    failed: bool,
}

impl Session {
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self {
            connection: Box::new(UnbufferedServerConnection::new(config)?),
            incoming: Vec::new(),
            plain: Vec::new(),
            taken: 0,
            outgoing: Vec::new(),
            sent: 0,
            peer_closed: false,
            said_goodbye: false,
            failed: false,
        })
    }

    // ---- in ---------------------------------------------------------------------------------------------------------------

    /// Copies kept ciphertext to the front of a buffer and tells how long it is: what is read next belongs behind it.
    pub(super) fn lay_out(&self, scratch: &mut Vec<u8>, room: usize) -> usize {
        let kept = self.incoming.len();
        if scratch.len() < kept + room {
            scratch.resize(kept + room, 0);
        }
        scratch[..kept].copy_from_slice(&self.incoming);
        kept
    }

    /// Takes in ciphertext, kept bytes included. Decrypted bytes go to `target` as far as they fit.
    pub(super) fn take_in(&mut self, bytes: &mut [u8], target: Option<&mut ReadBuf<'_>>) -> io::Result<()> {
        let (used, outcome) = self.process(bytes, target);
        let rest = &mut bytes[used..];
        if let Err(error) = outcome {
            self.collect_alert(rest);
            return Err(self.fail(error));
        }
        if rest.is_empty() || self.peer_closed {
            self.incoming = Vec::new();
        } else if rest.len() > MAX_INCOMING {
            return Err(self.fail("a TLS message is too long"));
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
        Ok(())
    }

    /// From now on the library is left alone: what it remembers of the input is about bytes that are gone.
    fn fail(&mut self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
        self.failed = true;
        self.incoming = Vec::new();
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    /// Lets the library work until it wants more bytes; tells how many it is done with.
    fn process(
        &mut self,
        bytes: &mut [u8],
        mut target: Option<&mut ReadBuf<'_>>,
    ) -> (usize, Result<(), rustls::Error>) {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(&mut bytes[used..]);
            let mut outcome = None;
            match state {
                Err(error) => outcome = Some(Err(error)),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = match record {
                            Ok(record) => record,
                            Err(error) => {
                                outcome = Some(Err(error));
                                break;
                            }
                        };
                        discard += record.discard;
                        let payload = record.payload;
                        let fits = match target.as_deref_mut().filter(|_| self.plain.is_empty()) {
                            Some(target) => {
                                let fits = target.remaining().min(payload.len());
                                target.put_slice(&payload[..fits]);
                                fits
                            }
                            None => 0,
                        };
                        self.plain.extend_from_slice(&payload[fits..]);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.outgoing, |out| data.encode(out).map_err(needed_for_encode));
                }
                // The bytes are in `outgoing`, and nothing can go out before them.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                // WriteTraffic, BlockedHandshake, Closed; early data is never offered to clients.
                Ok(_) => outcome = Some(Ok(())),
            }
            used += discard;
            if let Some(outcome) = outcome {
                return (used, outcome);
            }
        }
    }

    /// After a failure the library may have an alert for the client. It is asked for that and for nothing more: it would
    /// stumble a second time, and it may still refer to the bytes it stumbled over.
    fn collect_alert(&mut self, rest: &mut [u8]) {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(rest).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.outgoing, |out| data.encode(out).map_err(needed_for_encode));
                }
                _ => return,
            }
        }
    }

    /// Gives out decrypted bytes that are kept.
    pub(super) fn give(&mut self, target: &mut ReadBuf<'_>) -> bool {
        let rest = &self.plain[self.taken..];
        let length = rest.len().min(target.remaining());
        target.put_slice(&rest[..length]);
        self.taken += length;
        if self.taken == self.plain.len() {
            self.plain = Vec::new();
            self.taken = 0;
        }
        length > 0
    }

    // ---- out --------------------------------------------------------------------------------------------------------------

    /// Encrypts bytes to the front of a buffer and tells how long they have become. Nothing may wait in
    /// [`unsent`](Self::unsent).
    pub(super) fn encrypt(&mut self, plain: &[u8], scratch: &mut Vec<u8>) -> io::Result<usize> {
        if self.failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        loop {
            // What is kept is the beginning of a record: there is nothing in it to be done with yet.
            match self.connection.process_tls_records(&mut self.incoming).state.map_err(io::Error::other)? {
                ConnectionState::WriteTraffic(mut traffic) => loop {
                    match traffic.encrypt(plain, scratch) {
                        Ok(length) => return Ok(length),
                        Err(rustls::unbuffered::EncryptError::InsufficientSize(size)) => {
                            scratch.resize(size.required_size, 0);
                        }
                        Err(error) => return Err(io::Error::other(error)),
                    }
                },
                ConnectionState::EncodeTlsData(mut data) => {
                    encode(&mut self.outgoing, |out| data.encode(out).map_err(needed_for_encode));
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    /// Adds the notice that we send no more, once. Without it the client could not tell our end from an attacker's.
    pub(super) fn say_goodbye(&mut self) {
        if self.failed || std::mem::replace(&mut self.said_goodbye, true) {
            return;
        }
        while let Ok(state) = self.connection.process_tls_records(&mut self.incoming).state {
            match state {
                ConnectionState::WriteTraffic(mut traffic) => {
                    encode(&mut self.outgoing, |out| {
                        traffic.queue_close_notify(out).map_err(|error| match error {
                            rustls::unbuffered::EncryptError::InsufficientSize(size) => Some(size.required_size),
                            _ => None,
                        })
                    });
                    return;
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    encode(&mut self.outgoing, |out| data.encode(out).map_err(needed_for_encode));
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                _ => return,
            }
        }
    }

    /// Ciphertext for the socket.
    pub(super) fn unsent(&self) -> &[u8] {
        &self.outgoing[self.sent..]
    }

    /// So much of it was sent.
    pub(super) fn sent(&mut self, length: usize) {
        self.sent += length;
        if self.sent == self.outgoing.len() {
            self.outgoing = Vec::new();
            self.sent = 0;
        }
    }

    /// Keeps ciphertext the socket does not take now.
    pub(super) fn keep_unsent(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }
}

fn needed_for_encode(error: rustls::unbuffered::EncodeError) -> Option<usize> {
    match error {
        rustls::unbuffered::EncodeError::InsufficientSize(size) => Some(size.required_size),
        rustls::unbuffered::EncodeError::AlreadyEncoded => None,
    }
}

/// Appends what an encoder writes, with as much room as it says it needs.
fn encode(out: &mut Vec<u8>, mut encoder: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>) {
    let start = out.len();
    let mut written = encoder(&mut []);
    if let Err(Some(needed)) = written {
        out.resize(start + needed, 0);
        written = encoder(&mut out[start..]);
    }
    out.truncate(start + written.unwrap_or(0));
}
