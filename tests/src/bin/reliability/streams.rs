//! WebSockets and event streams that are open when the server reloads.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Report;
use crate::site::Site;

/// How a stream came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// Close frame 1012, or the last chunk.
    Clean,
    /// The connection ended without one.
    Bare,
    Reset,
    Late,
}

/// 500 WebSockets and 500 event streams, and a reload.
pub fn streams() -> Report {
    const EACH: usize = 500;
    let site = Site::start(&["--max-connections", "2000", "--shutdown-timeout", "30"]);
    let address = site.0.address();
    let opened = Arc::new(AtomicUsize::new(0));
    let stream = |websocket: bool| {
        let opened = Arc::clone(&opened);
        let thread = std::thread::Builder::new().stack_size(128 * 1024);
        thread.spawn(move || follow(address, websocket, &opened)).expect("a thread can be had")
    };
    let threads: Vec<_> = (0..2 * EACH).map(|number| stream(number % 2 == 0)).collect();
    while opened.load(Ordering::SeqCst) < 2 * EACH {
        std::thread::sleep(Duration::from_millis(20));
    }
    let started = Instant::now();
    site.control(&["reload"]);
    let mut endings: BTreeMap<Ending, usize> = BTreeMap::new();
    for thread in threads {
        *endings.entry(thread.join().expect("a client does not panic")).or_default() += 1;
    }
    let clean = endings.get(&Ending::Clean).copied().unwrap_or_default();
    let detail = format!(
        "{EACH} WebSockets closed with 1012 and {EACH} event streams ended {:.1} s after the reload began; {endings:?}",
        started.elapsed().as_secs_f64()
    );
    Report { answered: clean, lost: 2 * EACH - clean, allowed: 0, detail }
}

fn follow(address: SocketAddr, websocket: bool, opened: &AtomicUsize) -> Ending {
    let head = if websocket {
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    } else {
        "Accept: text/event-stream\r\n"
    };
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    write!(stream, "GET / HTTP/1.1\r\nHost: x\r\n{head}\r\n").expect("the server reads");
    let mut received = Vec::new();
    let mut counted = false;
    let mut block = [0; 2048];
    loop {
        let beginning = if websocket { &b"\r\n\r\n"[..] } else { &b"data: hello"[..] };
        if !counted && received.windows(beginning.len()).any(|window| window == beginning) {
            counted = true;
            opened.fetch_add(1, Ordering::SeqCst);
        }
        match stream.read(&mut block) {
            Ok(0) => break,
            Ok(read) => received.extend_from_slice(&block[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ending::Reset,
            Err(_) => return Ending::Late,
        }
        // A client answers a Close frame; only then does the server close the connection.
        if websocket && counted && received.windows(4).any(|frame| frame[0] == 0x88 && frame[2..] == [0x03, 0xf4]) {
            let _ = stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4]);
        }
    }
    let clean = if websocket {
        received.windows(4).any(|frame| frame[0] == 0x88 && frame[2..] == [0x03, 0xf4])
    } else {
        received.ends_with(b"0\r\n\r\n")
    };
    if clean { Ending::Clean } else { Ending::Bare }
}
