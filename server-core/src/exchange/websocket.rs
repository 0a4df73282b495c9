//! Both sides of an accepted WebSocket: from its handshake to the end of its session.

use std::rc::Rc;
use std::time::Instant;

use bytes::BytesMut;

use super::{Exchange, Inner, Opened};
use crate::drain::Phase;
use crate::event::{ReceiveEvent, SendEvent};
use crate::header::HeaderList;
use crate::reason::Reason;
use crate::sequence::{Sequence, Violation, WebSocket};
use crate::stats::Stats;
use crate::websocket::channel::{Channel, Fed, session_options};
use crate::websocket::session::Session;
use crate::websocket::{close, extension};

impl Exchange {
    /// `websocket.accept`: the answer to the handshake, and from now on a session (WS-7).
    pub(super) fn accept(
        &self,
        inner: &mut Inner,
        subprotocol: Option<&str>,
        headers: HeaderList,
    ) -> Result<(), String> {
        let headers = self.handshake_fields(headers);
        let offer = self.head.websocket.as_ref().ok_or_else(|| Violation::Foreign.to_string())?;
        let config = &self.worker.config;
        let agreement = extension::negotiate(&offer.deflate, &config.ws_compression);
        let mut session = Session::new(&session_options(config), agreement.as_ref());
        inner.status = inner.wire.accept(&mut inner.out, offer, subprotocol, &headers, agreement.as_ref(), config)?;
        if self.worker.drain.phase() != Phase::Running {
            inner.out.append(|out| session.shut_down(self.worker.now(), out));
        }
        inner.websocket = Some(Box::new(Channel::new(session)));
        inner.opened = Some(Opened::WebSocket);
        Stats::add(&self.worker.stats.websockets, 1);
        Ok(())
    }

    pub(super) fn send_websocket(&self, inner: &mut Inner, event: SendEvent<'_>) -> Result<(), String> {
        let now = self.worker.now();
        let limit = self.worker.config.max_ws_send_size;
        let channel = inner.websocket.as_mut().ok_or_else(|| Violation::Foreign.to_string())?;
        let session = &mut channel.session;
        let mut sent = Ok(());
        match event {
            SendEvent::WsText(message) | SendEvent::WsBinary(message) if message.len() > limit => {
                let size = message.len();
                return Err(format!("websocket.send: the message has {size} bytes, the limit is {limit}"));
            }
            SendEvent::WsText(text) => {
                inner.body_bytes += text.len() as u64;
                inner.out.append(|out| session.send_text(text, out));
            }
            SendEvent::WsBinary(bytes) => {
                inner.body_bytes += bytes.len() as u64;
                inner.out.append(|out| session.send_binary(bytes, out));
            }
            SendEvent::WsKeepalive { interval, timeout } => return session.keepalive(interval, timeout, now),
            SendEvent::WsClose { code, reason } => {
                inner.out.append(|out| sent = session.close(code, &reason, now, out));
            }
            _ => return Err(Violation::Foreign.to_string()),
        }
        sent
    }

    /// Connect first (WS-5, WS-6), then messages, then the end. A denial delivers none (WS-40).
    pub(super) fn receive_websocket(&self, inner: &mut Inner) -> Option<ReceiveEvent> {
        if !std::mem::replace(&mut inner.final_delivered, true) {
            return Some(ReceiveEvent::WsConnect);
        }
        if let Some(channel) = &mut inner.websocket {
            let event = channel.take();
            self.wake_connection(inner);
            return event;
        }
        let never_open = match inner.sequence {
            Sequence::WebSocket(WebSocket::Rejected) => true,
            Sequence::WebSocket(WebSocket::Connecting) => inner.gone,
            _ => false,
        };
        let reason = inner.reason.map(|reason| reason.token().to_owned()).unwrap_or_default();
        never_open.then_some(ReceiveEvent::WsDisconnect { code: close::ABNORMAL, reason })
    }

    /// Gives the session what has arrived, and the application its messages.
    pub(crate) fn feed_websocket(self: &Rc<Self>, input: &mut BytesMut) -> Fed {
        let fed = {
            let inner = &mut *self.inner.borrow_mut();
            let Some(channel) = &mut inner.websocket else { return Fed::Over };
            let mut fed = Fed::Hungry;
            inner.out.append(|out| fed = channel.feed(input, out, &self.worker.config, self.worker.now()));
            fed
        };
        if self.interest.get().receive || fed == Fed::Over {
            self.notify();
        }
        fed
    }

    /// Does what is due in a WebSocket session; also when to look again.
    pub(crate) fn tick_websocket(self: &Rc<Self>, now: Instant) -> Option<Instant> {
        let (deadline, over) = {
            let inner = &mut *self.inner.borrow_mut();
            let channel = inner.websocket.as_mut()?;
            if channel.session.deadline().is_some_and(|deadline| deadline <= now) {
                inner.out.append(|out| channel.session.tick(now, out));
            }
            (channel.session.deadline(), channel.is_over())
        };
        if over {
            self.notify();
        }
        deadline
    }

    /// The transport of a WebSocket ended without a closing handshake (WS-23).
    pub(crate) fn websocket_lost(self: &Rc<Self>, reason: Reason) {
        if let Some(channel) = &mut self.inner.borrow_mut().websocket {
            channel.session.lost(reason);
        }
        self.disconnected(reason);
    }

    /// Whether the session is over and everything was written.
    pub(crate) fn is_websocket_done(&self) -> bool {
        let inner = self.inner.borrow();
        inner.is_written() && inner.websocket.as_ref().is_none_or(|channel| channel.is_over())
    }

    /// Ends the stream of an HTTP/2 WebSocket whose session is over and written. `true` when that was just done.
    pub(crate) fn end_written_websocket(&self) -> bool {
        let over = self.is_websocket_done();
        if over {
            let inner = &mut *self.inner.borrow_mut();
            inner.wire.end(&mut inner.out);
        }
        over
    }
}
