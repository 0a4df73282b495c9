//! One application call: its exchange, the Futures it waits on, and the callbacks it registered.
//!
//! The rule that shapes this file: take what is needed out of the record, let go of the borrow, then call Perl (EMB-2).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use pagi_server_core::event::ReceiveEvent;
use pagi_server_core::exchange::{Exchange, Interest};
use pagi_server_core::scope::ScopeKind;

use crate::decode::HandleBody;
use crate::perl::future;
use crate::perl::handles::Handles;
use crate::perl::value::{Outcome, Scalar, View};
use crate::pool::{self, HandedOver};

/// An http or sse call.
pub(crate) struct Call {
    pub(crate) exchange: Rc<Exchange>,
    pub(crate) waiting: RefCell<Waiting>,
}

/// Everything of a call that is still open.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) handles: Option<Handles>,
    /// The application's Future while it is pending (APP-10).
    pub(crate) future: Option<Scalar>,
    receives: VecDeque<Scalar>,
    sends: VecDeque<Scalar>,
    body: Option<Streaming>,
    /// The pool answers this request.
    pub(crate) handed_over: Option<HandedOver>,
    on_disconnect: Vec<Scalar>,
    on_complete: Vec<Scalar>,
    disconnect_futures: Vec<Scalar>,
    on_high_water: Vec<Rc<Scalar>>,
    on_drain: Vec<Rc<Scalar>>,
    /// The application call has ended.
    pub(crate) ended: bool,
    /// The disconnect event of an sse or websocket scope has been delivered.
    disconnect_delivered: bool,
    /// The end of the exchange was announced: exactly one of `on_complete` and `on_disconnect` has run (CONN-7).
    pub(crate) announced: bool,
}

/// A `fh` body under way.
struct Streaming {
    handle: Scalar,
    remaining: Option<u64>,
    future: Scalar,
}

/// Methods of `pagi.connection` and `pagi.transport`, numbered as in the shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    IsConnected,
    DisconnectReason,
    ResponseStarted,
    ResponseComplete,
    OnDisconnect,
    OnComplete,
    DisconnectFuture,
    BufferedAmount,
    HighWaterMark,
    LowWaterMark,
    OnHighWater,
    OnDrain,
    HandOver,
}

impl Method {
    pub(crate) fn from_number(number: i32) -> Option<Self> {
        use Method::{
            BufferedAmount, DisconnectFuture, DisconnectReason, HandOver, HighWaterMark, IsConnected, LowWaterMark,
            OnComplete, OnDisconnect, OnDrain, OnHighWater, ResponseComplete, ResponseStarted,
        };
        [
            IsConnected,
            DisconnectReason,
            ResponseStarted,
            ResponseComplete,
            OnDisconnect,
            OnComplete,
            DisconnectFuture,
            BufferedAmount,
            HighWaterMark,
            LowWaterMark,
            OnHighWater,
            OnDrain,
            HandOver,
        ]
        .get(usize::try_from(number).ok()?)
        .copied()
    }
}

/// Bytes of a `fh` read at a time.
const HANDLE_BLOCK: u64 = 64 * 1024;

/// What Perl code did besides returning: `exit`.
#[derive(Debug)]
pub(crate) struct Exited;

/// Runs a callback; an exception is logged and stops nothing (CONN-23).
pub(crate) fn run_callback(what: &str, code: &Scalar, arguments: &[&Scalar]) -> Result<(), Exited> {
    report(what, code.call(arguments))
}

/// Tells the log of an exception in code that nobody waits for.
pub(crate) fn report(what: &str, outcome: Outcome) -> Result<(), Exited> {
    match outcome {
        Outcome::Returned(_) => Ok(()),
        Outcome::Died(error) => {
            tracing::error!("{what} error: {}", error.display().trim_end());
            Ok(())
        }
        Outcome::Exit => Err(Exited),
    }
}

impl Call {
    pub(crate) fn new(exchange: Rc<Exchange>, handles: Handles) -> Self {
        let waiting = Waiting { handles: Some(handles), ..Waiting::default() };
        Self { exchange, waiting: RefCell::new(waiting) }
    }

    // ---- what the application asks for --------------------------------------------------------------------------------

    /// `$receive->()`.
    pub(crate) fn receive(&self) -> Scalar {
        // An earlier receive is served first (RECV-6).
        let first_in_line = self.waiting.borrow().receives.is_empty();
        // AMB-3: a loop that ignores the disconnect gets it again, but only once a turn, so that it starves nobody.
        let repeats = self.waiting.borrow().disconnect_delivered;
        if first_in_line
            && !repeats
            && let Some(event) = self.exchange.receive()
        {
            return future::done(Some(self.event(event)));
        }
        let future = future::pending();
        self.waiting.borrow_mut().receives.push_back(future.view().copy());
        self.update_interest();
        if repeats {
            self.exchange.notify();
        }
        future
    }

    /// A send that the exchange has taken but whose client is behind.
    pub(crate) fn hold_send(&self) -> Scalar {
        let future = future::pending();
        self.waiting.borrow_mut().sends.push_back(future.view().copy());
        self.update_interest();
        future
    }

    /// A `fh` body that is not read to its end yet.
    pub(crate) fn hold_handle(&self, body: HandleBody, sent: u64) -> Scalar {
        let future = future::pending();
        let streaming = Streaming {
            handle: body.handle,
            remaining: body.length.map(|length| length - sent),
            future: future.view().copy(),
        };
        self.waiting.borrow_mut().body = Some(streaming);
        self.update_interest();
        future
    }

    /// A method of one of the objects; `None` stands for the object itself.
    pub(crate) fn method(&self, method: Method, argument: Option<View<'_>>) -> Result<Option<Scalar>, Exited> {
        let flag = |value: bool| Some(Scalar::int(i64::from(value)));
        let size = |value: usize| Some(Scalar::int(i64::try_from(value).unwrap_or(i64::MAX)));
        let exchange = &self.exchange;
        Ok(match method {
            Method::IsConnected => flag(exchange.reason().is_none() && !exchange.is_complete()),
            Method::DisconnectReason => {
                Some(exchange.reason().map_or_else(Scalar::undef, |reason| Scalar::text(reason.token())))
            }
            Method::ResponseStarted => flag(exchange.is_started()),
            Method::ResponseComplete => flag(exchange.is_complete()),
            Method::DisconnectFuture => Some(self.disconnect_future()),
            Method::OnDisconnect => self.register_end(argument, true)?,
            Method::OnComplete => self.register_end(argument, false)?,
            Method::BufferedAmount => size(exchange.buffered_amount()),
            Method::HighWaterMark => size(exchange.worker().config.write_high_watermark),
            Method::LowWaterMark => size(exchange.worker().config.write_low_watermark),
            Method::OnHighWater => {
                if let Some(code) = argument.map(View::copy).filter(Scalar::is_code) {
                    let code = Rc::new(code);
                    self.waiting.borrow_mut().on_high_water.push(Rc::clone(&code));
                    // FLOW-6: registered while at or above the mark, it fires at once.
                    if exchange.is_above_high() {
                        run_callback("transport callback", &code, &[])?;
                    }
                    self.update_interest();
                }
                None
            }
            // Answered by the loop, which knows the pool.
            Method::HandOver => None,
            Method::OnDrain => {
                if let Some(code) = argument.map(View::copy).filter(Scalar::is_code) {
                    self.waiting.borrow_mut().on_drain.push(Rc::new(code));
                    self.update_interest();
                }
                None
            }
        })
    }

    /// CONN-18, CONN-19: a fresh observer each time.
    fn disconnect_future(&self) -> Scalar {
        let announced = self.is_announced();
        if let (true, Some(reason)) = (announced, self.exchange.reason()) {
            return future::done(Some(Scalar::text(reason.token())));
        }
        let future = future::pending();
        if !announced {
            self.waiting.borrow_mut().disconnect_futures.push(future.view().copy());
            self.update_interest();
        }
        future
    }

    /// Whether the end of the exchange was announced, or has come after the call was over with nobody to announce it to.
    fn is_announced(&self) -> bool {
        let waiting = self.waiting.borrow();
        waiting.announced || waiting.ended && (self.exchange.reason().is_some() || self.exchange.is_delivered())
    }

    /// `on_disconnect` and `on_complete`: late ones run at once (CONN-6, CONN-23, AMB-15).
    fn register_end(&self, argument: Option<View<'_>>, on_disconnect: bool) -> Result<Option<Scalar>, Exited> {
        let Some(code) = argument.map(View::copy).filter(Scalar::is_code) else { return Ok(None) };
        let reason = self.exchange.reason();
        if !self.is_announced() {
            let mut waiting = self.waiting.borrow_mut();
            if on_disconnect {
                waiting.on_disconnect.push(code)
            } else {
                waiting.on_complete.push(code)
            }
            drop(waiting);
            self.update_interest();
        } else if let (true, Some(reason)) = (on_disconnect, reason) {
            run_callback("on_disconnect callback", &code, &[&Scalar::text(reason.token())])?;
        } else if !on_disconnect && reason.is_none() {
            run_callback("on_complete callback", &code, &[])?;
        }
        Ok(None)
    }

    fn event(&self, event: ReceiveEvent) -> Scalar {
        let is_last = matches!(event, ReceiveEvent::Disconnect { .. } | ReceiveEvent::WsDisconnect { .. });
        if is_last && self.exchange.head().kind != ScopeKind::Http {
            self.waiting.borrow_mut().disconnect_delivered = true;
        }
        let is_http = self.exchange.head().kind == ScopeKind::Http;
        match event {
            ReceiveEvent::Request { body, more } => {
                Scalar::request_event(if is_http { c"http.request" } else { c"sse.request" }, &body, more)
            }
            ReceiveEvent::Disconnect { .. } if is_http => Scalar::simple_event(c"http.disconnect"),
            ReceiveEvent::Disconnect { reason } => Scalar::reason_event(c"sse.disconnect", &reason),
            ReceiveEvent::WsConnect => Scalar::simple_event(c"websocket.connect"),
            ReceiveEvent::WsText(text) => Scalar::message_event(text.as_bytes(), true),
            ReceiveEvent::WsBinary(bytes) => Scalar::message_event(&bytes, false),
            ReceiveEvent::WsDisconnect { code, reason } => Scalar::closed_event(code, &reason),
        }
    }

    // ---- what happened on the wire --------------------------------------------------------------------------------------

    /// Brings the application up to date with its exchange, in the order of AMB-2: sends, disconnect Futures,
    /// callbacks, receives.
    pub(crate) fn catch_up(&self) -> Result<(), Exited> {
        pool::settle(self)?;
        if self.exchange.send_released() {
            self.release_sends()?;
            self.continue_handle()?;
        }
        self.run_watermark_callbacks()?;
        self.announce_end()?;
        self.serve_receives()?;
        self.update_interest();
        Ok(())
    }

    fn release_sends(&self) -> Result<(), Exited> {
        let sends = std::mem::take(&mut self.waiting.borrow_mut().sends);
        for send in sends {
            report("send continuation", future::settle(&send, None))?;
        }
        Ok(())
    }

    /// FLOW-6 to FLOW-9; callbacks persist.
    fn run_watermark_callbacks(&self) -> Result<(), Exited> {
        while let Some(high) = self.exchange.watermark_edge() {
            let waiting = self.waiting.borrow();
            let callbacks = if high { waiting.on_high_water.clone() } else { waiting.on_drain.clone() };
            drop(waiting);
            for code in callbacks {
                run_callback("transport callback", &code, &[])?;
            }
        }
        Ok(())
    }

    fn announce_end(&self) -> Result<(), Exited> {
        let reason = self.exchange.reason();
        let over = reason.is_some() || self.exchange.is_delivered();
        if !over || std::mem::replace(&mut self.waiting.borrow_mut().announced, true) {
            return Ok(());
        }
        let (futures, on_disconnect, on_complete) = {
            let mut waiting = self.waiting.borrow_mut();
            (
                std::mem::take(&mut waiting.disconnect_futures),
                std::mem::take(&mut waiting.on_disconnect),
                std::mem::take(&mut waiting.on_complete),
            )
        };
        match reason {
            Some(reason) => {
                for future in futures {
                    let value = Some(Scalar::text(reason.token()));
                    report("disconnect_future continuation", future::settle(&future, value))?;
                }
                let token = Scalar::text(reason.token());
                for code in on_disconnect {
                    run_callback("on_disconnect callback", &code, &[&token])?;
                }
            }
            None => {
                for code in on_complete {
                    run_callback("on_complete callback", &code, &[])?;
                }
            }
        }
        Ok(())
    }

    /// Serves the receives that wait now; those that their continuations make are for the next turn.
    fn serve_receives(&self) -> Result<(), Exited> {
        let waiting = self.waiting.borrow().receives.len();
        for _ in 0..waiting {
            let Some(front) = self.waiting.borrow().receives.front().map(|front| front.view().copy()) else {
                return Ok(());
            };
            // RECV-7: a receive that the application has cancelled takes no event.
            let cancelled = future::is_ready(&front);
            let event = if cancelled { None } else { self.exchange.receive() };
            if !cancelled && event.is_none() {
                return Ok(());
            }
            let taken = self.waiting.borrow_mut().receives.pop_front();
            if let Some(event) = event {
                report("receive continuation", future::settle(&front, Some(self.event(event))))?;
            }
            drop(taken);
        }
        if waiting > 0 && !self.waiting.borrow().receives.is_empty() {
            self.exchange.notify();
        }
        Ok(())
    }

    // ---- `fh` bodies ------------------------------------------------------------------------------------------------------

    fn continue_handle(&self) -> Result<(), Exited> {
        let Some(mut streaming) = self.waiting.borrow_mut().body.take() else { return Ok(()) };
        if self.exchange.is_gone() {
            self.exchange.finish_handle();
            return report("send continuation", future::settle(&streaming.future, None));
        }
        match read_handle(&streaming.handle, &mut streaming.remaining) {
            Err(Exited) => Err(Exited),
            Ok(Read::Some(bytes)) => {
                if let Err(message) = self.exchange.push_handle_bytes(&bytes) {
                    return self.break_handle(&streaming, &message);
                }
                self.waiting.borrow_mut().body = Some(streaming);
                // The rest comes with the next turn, or when the client has caught up.
                if self.exchange.send_released() {
                    self.exchange.notify();
                }
                Ok(())
            }
            Ok(Read::End) => {
                self.exchange.finish_handle();
                report("send continuation", future::settle(&streaming.future, None))
            }
            Ok(Read::Failed(message)) => self.break_handle(&streaming, &message),
        }
    }

    /// BODY-10: bytes have gone out, so the response is cut; the send fails.
    fn break_handle(&self, streaming: &Streaming, message: &str) -> Result<(), Exited> {
        self.exchange.fail_handle();
        let failed = Scalar::call_named(c"PAGI::Native::fail_future", &[&streaming.future, &Scalar::text(message)]);
        report("send continuation", failed)
    }

    // ---- bookkeeping --------------------------------------------------------------------------------------------------------

    fn update_interest(&self) {
        let waiting = self.waiting.borrow();
        let callbacks = !waiting.on_high_water.is_empty() || !waiting.on_drain.is_empty();
        self.exchange.set_interest(Interest {
            receive: !waiting.receives.is_empty(),
            drain: !waiting.sends.is_empty() || waiting.body.is_some() || callbacks,
            end: !waiting.announced
                && (!waiting.receives.is_empty()
                    || !waiting.on_complete.is_empty()
                    || !waiting.on_disconnect.is_empty()
                    || !waiting.disconnect_futures.is_empty()),
        });
    }

    /// Whether watermark callbacks have to be looked after when bytes are queued.
    pub(crate) fn watches_buffer(&self) -> bool {
        let waiting = self.waiting.borrow();
        !waiting.on_high_water.is_empty() || !waiting.on_drain.is_empty()
    }

    /// Whether the record can go: the call has ended and nothing is left to settle or announce.
    pub(crate) fn is_over(&self) -> bool {
        let waiting = self.waiting.borrow();
        let nothing_left = waiting.receives.is_empty()
            && waiting.sends.is_empty()
            && waiting.body.is_none()
            && waiting.handed_over.is_none()
            && waiting.on_disconnect.is_empty()
            && waiting.on_complete.is_empty()
            && waiting.disconnect_futures.is_empty();
        waiting.ended && (nothing_left || waiting.announced && waiting.body.is_none() && waiting.sends.is_empty())
    }

    /// Takes everything out of the record so that it can be freed without a borrow (CONN-25).
    pub(crate) fn take_waiting(&self) -> Waiting {
        let announced = self.waiting.borrow().announced;
        self.waiting.replace(Waiting { ended: true, announced, ..Waiting::default() })
    }
}

/// One read from a Perl file handle.
pub(crate) enum Read {
    Some(Vec<u8>),
    End,
    Failed(String),
}

/// Reads the next block through Perl, so that layers and buffered data count (BODY-14).
pub(crate) fn read_handle(handle: &Scalar, remaining: &mut Option<u64>) -> Result<Read, Exited> {
    let want = remaining.unwrap_or(HANDLE_BLOCK).min(HANDLE_BLOCK);
    if want == 0 {
        return Ok(Read::End);
    }
    let want = Scalar::int(i64::try_from(want).unwrap_or(i64::MAX));
    match Scalar::call_named(c"PAGI::Native::read_handle", &[handle, &want]) {
        Outcome::Returned(block) => match block.view().bytes() {
            Ok([]) => Ok(Read::End),
            Ok(bytes) => {
                *remaining = remaining.map(|remaining| remaining.saturating_sub(bytes.len() as u64));
                Ok(Read::Some(bytes.to_vec()))
            }
            Err(_) => Ok(Read::Failed("http.response.body 'fh' gave characters above 0xFF, not bytes".to_owned())),
        },
        Outcome::Died(error) => Ok(Read::Failed(error.display().trim_end().to_owned())),
        Outcome::Exit => Err(Exited),
    }
}
