//! A client that sends exactly the bytes it is told to and says exactly how the connection ended.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. Machines are slow and noisy; only a hang reaches this.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How the server's side of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// An orderly end of the stream.
    Eof,
    /// A reset.
    Reset,
}

/// One TCP connection.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    /// Everything received and not yet taken.
    pub received: Vec<u8>,
}

impl Raw {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts connections");
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        Self { stream, received: Vec::new() }
    }

    /// Connects with a small receive buffer, so that the server's output backs up soon.
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)
            .expect("a socket can be made");
        socket.set_recv_buffer_size(4096).expect("SO_RCVBUF can be set");
        socket.connect_timeout(&address.into(), PATIENCE).expect("the server accepts connections");
        Self { stream: socket.into(), received: Vec::new() }
    }

    /// Sends bytes; the connection must take them all.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes the bytes");
    }

    /// Sends bytes as far as the server takes them; `false` when it has closed.
    pub fn offer(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends what fits without waiting; returns how much that was.
    pub fn offer_some(&mut self, bytes: &[u8], wait: Duration) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(wait)).expect("a timeout can be set");
        match self.stream.write(bytes) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(0),
            other => other,
        }
    }

    /// Waits until what was received satisfies a condition; panics when the stream ends or nothing comes any more.
    pub fn read_until(&mut self, what: &str, done: impl Fn(&[u8]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.received) {
            match self.read_some(deadline) {
                Ok(0) => panic!("the stream ended before {what}; received: {}", self.shown()),
                Ok(_) => {}
                Err(error) => panic!("no {what}: {error}; received: {}", self.shown()),
            }
        }
    }

    /// Waits until the received bytes contain some text.
    pub fn read_until_contains(&mut self, text: &str) {
        self.read_until(&format!("{text:?}"), |bytes| contains(bytes, text.as_bytes()));
    }

    /// Waits for one complete response to a request of this method, and takes it.
    pub fn response(&mut self, method: &str) -> crate::http::Response {
        self.try_response(method).unwrap_or_else(|problem| panic!("no complete response: {problem}"))
    }

    /// The same, with words instead of a panic when there is none.
    pub fn try_response(&mut self, method: &str) -> Result<crate::http::Response, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((response, length)) = crate::http::Response::parse(&self.received, method)?
                && response.complete
            {
                self.received.drain(..length);
                return Ok(response);
            }
            match self.read_some(deadline) {
                Ok(0) => return Err(format!("the stream ended: {}", self.shown())),
                Ok(_) => {}
                Err(error) => return Err(format!("{error}: {}", self.shown())),
            }
        }
    }

    /// Reads to the end; the bytes stay in `received`.
    pub fn read_to_end(&mut self) -> End {
        self.try_read_to_end().unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// The same, with words instead of a panic when the server keeps the connection open.
    pub fn try_read_to_end(&mut self) -> Result<End, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.read_some(deadline) {
                Ok(0) => return Ok(End::Eof),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(End::Reset),
                Err(error) => return Err(format!("the connection stays open: {error}; received: {}", self.shown())),
            }
        }
    }

    /// Reads for a while; `true` when nothing at all came and the stream is still open.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        let before = self.received.len();
        match self.read_some(Instant::now() + time) {
            Err(error) => is_timeout(&error) && self.received.len() == before,
            Ok(_) => false,
        }
    }

    /// Reads at least this many bytes in total, then throws them away.
    pub fn skip(&mut self, bytes: usize) {
        let mut left = bytes;
        let deadline = Instant::now() + PATIENCE;
        while left > 0 {
            match self.read_some(deadline) {
                Ok(0) => panic!("the stream ended {left} bytes early"),
                Ok(_) => {
                    let taken = left.min(self.received.len());
                    self.received.drain(..taken);
                    left -= taken;
                }
                Err(error) => panic!("{left} bytes are missing: {error}"),
            }
        }
    }

    fn read_some(&mut self, deadline: Instant) -> io::Result<usize> {
        let mut block = [0; 65536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).expect("a timeout can be set");
            match self.stream.read(&mut block) {
                Ok(read) => {
                    self.received.extend_from_slice(&block[..read]);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Shuts down the sending side.
    pub fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("the sending side can be shut down");
    }

    /// Closes with a reset.
    pub fn reset(self) {
        let socket = socket2::Socket::from(self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("SO_LINGER can be set");
    }

    /// The port of our side.
    pub fn local_port(&self) -> u16 {
        self.stream.local_addr().expect("a connected socket has an address").port()
    }

    /// What was received, for people.
    pub fn shown(&self) -> String {
        let shown = &self.received[..self.received.len().min(2000)];
        shown.escape_ascii().to_string()
    }
}

/// Whether bytes contain other bytes.
pub fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
