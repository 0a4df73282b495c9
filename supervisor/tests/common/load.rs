//! Clients that never stop asking while a test does something to the server, and tell every way to fail apart.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an answer may take.
const LATE: Duration = Duration::from_secs(10);

/// What happened to requests.
#[derive(Debug, Default)]
pub struct Tally {
    pub answered: AtomicU64,
    pub refused: AtomicU64,
    pub reset: AtomicU64,
    pub truncated: AtomicU64,
    pub late: AtomicU64,
    pub wrong: AtomicU64,
}

impl Tally {
    pub fn failed(&self) -> u64 {
        [&self.refused, &self.reset, &self.truncated, &self.late, &self.wrong]
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .sum()
    }

    fn count(&self, error: &std::io::Error) {
        let counter = match error.kind() {
            ErrorKind::ConnectionRefused => &self.refused,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => &self.reset,
            ErrorKind::UnexpectedEof => &self.truncated,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => &self.late,
            _ => &self.wrong,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

/// Clients at work.
pub struct Load {
    tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts clients: half of them keep connections alive, half close after each request.
    pub fn start(port: u16, clients: usize) -> Self {
        let (tally, stop) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
        let client = |index: usize| {
            let (tally, stop) = (Arc::clone(&tally), Arc::clone(&stop));
            std::thread::spawn(move || ask_on(port, index.is_multiple_of(2), &tally, &stop))
        };
        let clients = (0..clients).map(client).collect();
        Self { tally, stop, clients }
    }

    pub fn answered(&self) -> u64 {
        self.tally.answered.load(Ordering::SeqCst)
    }

    /// Waits for so many more answers.
    pub fn wait_for_more(&self, answers: u64) {
        let goal = self.answered() + answers;
        super::eventually("requests are answered", super::PATIENCE, || self.answered() >= goal);
    }

    /// Lets every client finish what it does.
    pub fn finish(self) -> Arc<Tally> {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
        self.tally
    }
}

fn ask_on(port: u16, keep_alive: bool, tally: &Tally, stop: &AtomicBool) {
    let mut connection: Option<TcpStream> = None;
    while !stop.load(Ordering::SeqCst) {
        match ask(port, keep_alive, connection.take()) {
            Ok((body, kept)) => {
                connection = kept;
                let counter = if body.starts_with("answer") { &tally.answered } else { &tally.wrong };
                counter.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => {
                tally.count(&error);
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// One request. Returns the body, and the connection if it can be used again.
fn ask(
    port: u16,
    keep_alive: bool,
    connection: Option<TcpStream>,
) -> Result<(String, Option<TcpStream>), std::io::Error> {
    let mut stream = match connection {
        Some(stream) => stream,
        None => TcpStream::connect(("127.0.0.1", port))?,
    };
    stream.set_read_timeout(Some(LATE))?;
    stream.set_nodelay(true)?;
    let closing = if keep_alive { "" } else { "Connection: close\r\n" };
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: test\r\n{closing}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let wanted = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        let wanted = wanted.ok_or(ErrorKind::InvalidData)?;
        if body.len() >= wanted {
            let usable = keep_alive && !head.contains("connection: close");
            return Ok((body.to_owned(), usable.then_some(stream)));
        }
    }
}
