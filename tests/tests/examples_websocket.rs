//! The WebSocket examples do what their READMEs say.

use pagi_tests::app::example;
use pagi_tests::browser::browse;
use pagi_tests::server::{Server, Setup};
use pagi_tests::websocket::{Heard, Socket};

fn start(name: &str, workers: u32) -> Server {
    Setup::new().app(example(name)).workers(workers).env("BIDIRECTIONAL_INTERVAL", "0.05").start()
}

/// Stops the server, which must have nothing to complain of.
fn stop(mut server: Server) {
    assert!(server.stop().success(), "{}", server.log());
    let log = server.log();
    for word in [" ERROR ", "Use of uninitialized", "Useless use", "Wide character", "lost its returning future"] {
        assert!(!log.contains(word), "{log}");
    }
}

fn open(server: &Server, path: &str) -> Socket {
    Socket::open(server.address(), path).unwrap_or_else(|response| panic!("{response:?}"))
}

#[test]
fn websocket_echo() {
    for workers in [1, 4] {
        let server = start("websocket-echo", workers);
        let mut socket = open(&server, "/");
        for text in ["hello", "", "Grüße, 世界 🦀", &"long ".repeat(20_000)[..60_000]] {
            socket.send_text(text);
            assert_eq!(socket.hear(), Heard::Text(text.to_owned()));
        }
        let bytes: Vec<u8> = (0..=255).collect();
        socket.send_binary(&bytes);
        assert_eq!(socket.hear(), Heard::Binary(bytes));
        socket.send_close(4001, "bye");
        assert_eq!(socket.hear(), Heard::Close(4001, String::new()));
        drop(socket);
        server.wait_for_log("client left: 4001 bye");
        stop(server);
    }
}

#[test]
fn websocket_bidirectional() {
    for workers in [1, 4] {
        let server = start("websocket-bidirectional", workers);
        let mut socket = open(&server, "/");
        let (mut ticks, mut answers) = (0, 0);
        while ticks < 3 || answers < 3 {
            if answers <= ticks {
                socket.send_text("grüße");
                answers += 1;
            }
            match socket.hear_text() {
                text if text == "you said: GRÜSSE" => {}
                text => {
                    ticks += 1;
                    assert_eq!(text, format!("tick {ticks}"));
                }
            }
        }
        socket.raw.half_close();
        server.wait_for_log("client left: 1006 client_closed");
        stop(server);
    }
}

#[test]
fn websocket_chat() {
    let server = start("websocket-chat", 1);
    let mut ann = open(&server, "/rooms/perl?name=Ann");
    assert_eq!(ann.hear_text(), r#"{"name":"Ann","names":["Ann"],"type":"joined"}"#);
    ann.send_text("first ☺");
    assert_eq!(ann.hear_text(), r#"{"name":"Ann","text":"first ☺","type":"message"}"#);
    let mut bob = open(&server, "/rooms/perl?name=B%C3%B8b");
    assert_eq!(bob.hear_text(), r#"{"name":"Ann","text":"first ☺","type":"message"}"#, "the history");
    for socket in [&mut ann, &mut bob] {
        assert_eq!(socket.hear_text(), r#"{"name":"Bøb","names":["Ann","Bøb"],"type":"joined"}"#);
    }
    ann.send_text("   ");
    bob.send_text(&"x".repeat(3000));
    let cut = format!(r#"{{"name":"Bøb","text":"{}","type":"message"}}"#, "x".repeat(2000));
    assert_eq!((ann.hear_text(), bob.hear_text()), (cut.clone(), cut));
    bob.send_close(1000, "");
    assert_eq!(bob.hear(), Heard::Close(1000, String::new()));
    assert_eq!(ann.hear_text(), r#"{"name":"Bøb","names":["Ann"],"type":"left"}"#);
    for path in ["/rooms/perl", "/rooms/perl?name=%20", "/rooms/?name=Ann", "/elsewhere?name=Ann"] {
        let refusal = Socket::open(server.address(), path).expect_err("a refusal");
        assert_eq!((refusal.status, refusal.text()), (422, "Rooms and names have 1 to 30 letters and digits.\n"));
    }
    drop((ann, bob));
    stop(server);
}

#[test]
fn websocket_chat_puts_slow_members_out() {
    let server = start("websocket-chat", 1);
    let mut slow = open(&server, "/rooms/perl?name=Slow");
    slow.hear_text();
    let mut ann = open(&server, "/rooms/perl?name=Ann");
    ann.hear_text();
    let line = "y".repeat(2000);
    loop {
        ann.send_text(&line);
        let heard = ann.hear_text();
        if heard.contains(r#""type":"left""#) {
            assert_eq!(heard, r#"{"name":"Slow","names":["Ann"],"type":"left"}"#);
            break;
        }
    }
    let end = loop {
        match slow.hear() {
            Heard::Text(_) => {}
            end => break end,
        }
    };
    assert_eq!(end, Heard::Close(1008, "too slow".to_owned()));
}

#[test]
fn websocket_chat_in_a_browser() {
    let server = start("websocket-chat", 1);
    browse("websocket_chat", &server.url("/"), &[]);
    stop(server);
}
