//! What Perl calls: `$receive`, `$send`, methods of `pagi.connection` and `pagi.transport`, and the end of their handles.

use std::rc::Rc;

use pagi_server_core::event::{Content, SendEvent};
use pagi_server_core::exchange::Sent;

use super::{LIFESPAN, Loop};
use crate::call::{self, Call, Exited, Method, Read, read_handle};
use crate::decode::{self, Decoded, HandleBody};
use crate::perl::future;
use crate::perl::value::{Outcome, Scalar, View};

/// Sends of which nothing leaves that are done at once, in one turn of the loop.
const DROPPED_PER_TURN: u32 = 64;

impl Loop {
    pub(super) fn call(&self, token: usize) -> Option<Rc<Call>> {
        self.calls.borrow().get(token).cloned()
    }

    pub(crate) fn receive(&'static self, token: usize) -> Scalar {
        if token == LIFESPAN {
            return self.lifespan.receive();
        }
        match self.call(token) {
            Some(call) => call.receive(),
            None => future::done(Some(Scalar::simple_event(c"http.disconnect"))),
        }
    }

    pub(crate) fn send(&'static self, token: usize, event: View<'_>) -> Scalar {
        if token == LIFESPAN {
            return self.lifespan.send(event);
        }
        let Some(call) = self.call(token) else { return self.dropped_send() };
        if call.exchange.is_gone() {
            return self.dropped_send();
        }
        let mut buffer = Vec::new();
        let sent = decode::decode(event, &call.exchange, &mut buffer).and_then(|decoded| match decoded {
            Decoded::Event(event) => call.exchange.send(event).map(|sent| match sent {
                // HEAD: taken and thrown away, so a client is never behind.
                Sent::Done if call.exchange.discards_body() => self.dropped_send(),
                Sent::Done => future::done(None),
                Sent::Behind => call.hold_send(),
            }),
            Decoded::Handle(body) => self.send_handle(&call, body),
        });
        if call.watches_buffer() {
            call.exchange.notify();
        }
        sent.unwrap_or_else(|message| future::failed(&message))
    }

    /// SEND-8, HEAD-6: nothing leaves, successfully. But code that sends on without end must not keep everybody else from their
    /// turn, as it must not by receiving (AMB-3).
    fn dropped_send(&self) -> Scalar {
        let dropped = self.dropped.get() + 1;
        self.dropped.set(dropped);
        if dropped < DROPPED_PER_TURN {
            return future::done(None);
        }
        let future = future::pending();
        self.dropped_sends.borrow_mut().push(future.view().copy());
        future
    }

    /// Settles those that had to wait for a turn.
    pub(super) fn settle_dropped_sends(&self) -> Result<(), Exited> {
        self.dropped.set(0);
        for future in self.dropped_sends.take() {
            call::report("send continuation", future::settle(&future, None))?;
        }
        Ok(())
    }

    /// A body from a Perl file handle: the first block is read before the response changes, so that a bad handle can be
    /// answered with another body (BODY-9, BODY-10).
    pub(super) fn send_handle(&self, call: &Rc<Call>, mut body: HandleBody) -> Result<Scalar, String> {
        let offset =
            body.offset.map_or_else(Scalar::undef, |offset| Scalar::int(i64::try_from(offset).unwrap_or(i64::MAX)));
        match Scalar::call_named(c"PAGI::Native::prepare_handle", &[&body.handle, &offset]) {
            Outcome::Returned(_) => {}
            Outcome::Died(error) => return Err(error.display().trim_end().to_owned()),
            Outcome::Exit => return Err("exit was called while a file handle was read".to_owned()),
        }
        let wanted = body.length;
        let first = match read_handle(&body.handle, &mut body.length) {
            Ok(Read::Some(bytes)) => bytes,
            Ok(Read::End) => Vec::new(),
            Ok(Read::Failed(message)) => return Err(message),
            Err(Exited) => return Err("exit was called while a file handle was read".to_owned()),
        };
        call.exchange.send(SendEvent::ResponseBody { content: Content::Handle, more: false })?;
        if let Err(message) = call.exchange.push_handle_bytes(&first) {
            call.exchange.fail_handle();
            return Err(message);
        }
        if first.is_empty() || body.length == Some(0) {
            call.exchange.finish_handle();
            return Ok(future::done(None));
        }
        body.length = wanted.map(|wanted| wanted - first.len() as u64);
        let future = call.hold_handle(body, 0);
        call.exchange.notify();
        Ok(future)
    }

    pub(crate) fn method(&'static self, token: usize, method: i32, argument: Option<View<'_>>) -> Option<Scalar> {
        let call = self.call(token)?;
        match Method::from_number(method)? {
            Method::HandOver => Some(self.hand_over(&call)),
            // An exit in a callback that runs at once is found by the turn that is under way.
            method => call.method(method, argument).ok().flatten(),
        }
    }

    pub(crate) fn call_ready(&'static self, token: usize) {
        self.ready.borrow_mut().push(token);
        self.core.inbox.rouse();
    }

    pub(crate) fn handles_freed(&'static self, token: usize) {
        let freed = self.calls.borrow_mut().try_remove(token);
        drop(freed);
    }
}
