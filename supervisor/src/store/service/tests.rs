use tokio::task::LocalSet;

use super::*;

const LIMITS: StoreOptions =
    StoreOptions { store_entries: 10, store_bytes: 100_000, store_item_bytes: 1000, store_backlog: 3000 };

/// A worker's end of a connection.
struct Worker {
    stream: UnixStream,
    received: BytesMut,
}

impl Worker {
    async fn send(&mut self, kind: Kind, fields: &[&[u8]]) {
        self.stream.write_all(&frame::encode(kind, 9, fields)).await.unwrap();
    }

    /// The next frame; `None` when the store has hung up.
    async fn next(&mut self) -> Option<(Kind, Vec<Bytes>)> {
        loop {
            if let Some(Frame { kind, fields, .. }) = frame::decode(&mut self.received, 100_000).unwrap() {
                return Some((kind, fields));
            }
            if self.stream.read_buf(&mut self.received).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    async fn ask(&mut self, kind: Kind, fields: &[&[u8]]) -> (Kind, String) {
        self.send(kind, fields).await;
        let (kind, fields) = self.next().await.unwrap();
        (kind, fields.first().map_or(String::new(), |field| String::from_utf8_lossy(field).into_owned()))
    }
}

struct Bench {
    hub: Rc<Hub>,
    connected: Client,
}

impl Bench {
    fn worker(&mut self) -> Worker {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.connected += 1;
        tokio::task::spawn_local(serve(theirs, self.connected, Rc::clone(&self.hub)));
        Worker { stream: ours, received: BytesMut::new() }
    }
}

fn with_store<F: Future<Output = ()>>(test: impl FnOnce(Bench) -> F) {
    let bounds = Bounds { entries: LIMITS.store_entries, bytes: LIMITS.store_bytes };
    let hub = Rc::new(Hub {
        limits: LIMITS,
        shelf: RefCell::new(Shelf::new(bounds)),
        channels: RefCell::default(),
        clients: RefCell::default(),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test(Bench { hub, connected: 0 }));
}

fn told(kind: Kind, text: &str) -> (Kind, String) {
    (kind, text.to_owned())
}

#[test]
fn what_one_worker_keeps_another_finds() {
    with_store(|mut bench| async move {
        let (mut one, mut two) = (bench.worker(), bench.worker());
        assert_eq!(two.ask(Kind::Get, &[b"k"]).await, told(Kind::Nothing, ""));
        assert_eq!(one.ask(Kind::Set, &[b"k", b"value", b"60000"]).await, told(Kind::Done, ""));
        assert_eq!(two.ask(Kind::Get, &[b"k"]).await, told(Kind::Done, "value"));
        assert_eq!(two.ask(Kind::Touch, &[b"k", b"0"]).await, told(Kind::Done, ""));
        assert_eq!(one.ask(Kind::Get, &[b"k"]).await, told(Kind::Nothing, ""));
        assert_eq!(one.ask(Kind::Touch, &[b"k", b"1"]).await, told(Kind::Nothing, ""));
        assert_eq!(one.ask(Kind::Delete, &[b"k"]).await, told(Kind::Nothing, ""));
    });
}

#[test]
fn items_beyond_the_limit_are_refused_and_the_connection_goes_on() {
    with_store(|mut bench| async move {
        let mut worker = bench.worker();
        let large = [b'x'; 1001];
        let reason = "1001 bytes are more than --store-item-bytes 1000 allows";
        assert_eq!(worker.ask(Kind::Set, &[b"k", &large, b"1"]).await, told(Kind::Refused, reason));
        assert_eq!(worker.ask(Kind::Publish, &[b"c", &large]).await, told(Kind::Refused, reason));
        let reason = "The name has 1025 bytes, more than 1024";
        assert_eq!(worker.ask(Kind::Get, &[&[b'k'; 1025]]).await, told(Kind::Refused, reason));
        assert_eq!(worker.ask(Kind::Set, &[b"k", &large[1..], b"60000"]).await, told(Kind::Done, ""));
    });
}

#[test]
fn messages_reach_the_others_in_order_and_the_sender_learns_how_many_listen() {
    with_store(|mut bench| async move {
        let (mut sender, mut one, mut two) = (bench.worker(), bench.worker(), bench.worker());
        for (worker, count) in [(&mut sender, b"7"), (&mut one, b"1"), (&mut two, b"2")] {
            assert_eq!(worker.ask(Kind::Interest, &[b"chat", count]).await, told(Kind::Done, ""));
        }
        for text in ["first", "second"] {
            assert_eq!(sender.ask(Kind::Publish, &[b"chat", text.as_bytes()]).await, told(Kind::Done, "3"));
        }
        for worker in [&mut one, &mut two] {
            for text in ["first", "second"] {
                assert_eq!(worker.next().await, Some((Kind::Message, vec!["chat".into(), text.into()])));
            }
        }
        drop(one);
        two.ask(Kind::Interest, &[b"chat", b"0"]).await;
        while sender.ask(Kind::Publish, &[b"chat", b"x"]).await != told(Kind::Done, "0") {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_worker_that_takes_nothing_loses_messages_and_holds_up_nobody() {
    with_store(|mut bench| async move {
        let (mut sender, mut idle) = (bench.worker(), bench.worker());
        idle.ask(Kind::Interest, &[b"chat", b"1"]).await;
        // More than the socket and the backlog hold together.
        let mut lost = 0;
        for _ in 0..5000 {
            let (_, reached) = sender.ask(Kind::Publish, &[b"chat", &[b'x'; 1000]]).await;
            lost += usize::from(reached == "0");
        }
        assert!(lost > 0, "something was lost");
        for _ in 0..5000 - lost {
            assert!(matches!(idle.next().await, Some((Kind::Message, _))));
        }
        assert_eq!(sender.ask(Kind::Publish, &[b"chat", b"again"]).await, told(Kind::Done, "1"));
    });
}

#[test]
fn who_does_not_speak_the_protocol_is_cut_off() {
    with_store(|mut bench| async move {
        for nonsense in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &frame::encode(Kind::Get, 1, &[]),
            &frame::encode(Kind::Done, 1, &[b"k"]),
            &frame::encode(Kind::Touch, 1, &[b"k", b"soon"]),
        ] {
            let mut worker = bench.worker();
            worker.stream.write_all(nonsense).await.unwrap();
            assert_eq!(worker.next().await, None);
        }
        assert_eq!(bench.worker().ask(Kind::Get, &[b"k"]).await, told(Kind::Nothing, ""), "the others are served");
    });
}
