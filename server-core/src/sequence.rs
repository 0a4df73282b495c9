//! Which event is legal now: one state machine per scope type, shared by every transport (SEND-11).
//!
//! [`Sequence::after`] is a pure function from a state and a step to the next state or a [`Violation`]. The caller keeps
//! the old state until the event has really been taken, so that a rejected event changes nothing (SEND-10).

use std::fmt;

/// State of one scope's outgoing events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// An http scope.
    Http(Response),
    /// An sse scope that has not chosen between streaming and declining (SSE-34).
    SseUndecided,
    /// An sse scope after `sse.start`.
    SseStreaming,
    /// An sse scope after `sse.close`.
    SseClosed,
    /// An sse scope after `sse.http.response.start`.
    SseDeclined(Response),
    /// A websocket scope.
    WebSocket(WebSocket),
    /// A lifespan scope.
    Lifespan(Lifespan),
}

/// Progress of a websocket scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebSocket {
    /// The handshake is unanswered (WS-2).
    Connecting,
    /// Accepted.
    Open,
    /// The application has sent `websocket.close` (WS-33).
    Closed,
    /// The application has closed before accepting: 403 (WS-9).
    Rejected,
    /// A denial response (WS-39).
    Denied(Response),
}

/// A plain HTTP response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// Nothing sent.
    Unstarted,
    /// Started, no body event yet.
    Started {
        /// Trailers were promised.
        trailers: bool,
    },
    /// At least one inline body event was sent (BODY-13 then forbids `file` and `fh`).
    Streaming {
        /// Trailers were promised.
        trailers: bool,
    },
    /// The body is over, the promised trailers are due (TRLR-3).
    AwaitingTrailers,
    /// The terminal event was sent (RESP-4).
    Complete,
}

/// Progress of a lifespan exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifespan {
    /// `lifespan.startup` is unanswered.
    Starting,
    /// Started; no shutdown was announced.
    Running,
    /// `lifespan.shutdown` is unanswered.
    Stopping,
    /// Start-up failed, or shutdown was answered.
    Over,
}

/// One outgoing event, reduced to what the sequence depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `http.response.start`.
    ResponseStart {
        /// Trailers promised.
        trailers: bool,
    },
    /// `http.response.body` with inline content.
    ResponseBody {
        /// More body events follow.
        more: bool,
        /// Whether this event carries any bytes.
        empty: bool,
    },
    /// `http.response.body` with `file` or `fh`; always final (BODY-3).
    ResponseFile,
    /// `http.response.trailers`.
    ResponseTrailers,
    /// `http.fullflush`.
    FullFlush,
    /// `sse.start`.
    SseStart,
    /// `sse.send`.
    SseSend,
    /// `sse.comment`.
    SseComment,
    /// `sse.keepalive`.
    SseKeepalive,
    /// `sse.close`.
    SseClose,
    /// `sse.http.response.start`.
    SseDeclineStart,
    /// `sse.http.response.body`.
    SseDeclineBody {
        /// More body events follow.
        more: bool,
    },
    /// `websocket.accept`.
    WsAccept,
    /// `websocket.send`.
    WsSend,
    /// `websocket.keepalive`.
    WsKeepalive,
    /// `websocket.close`.
    WsClose,
    /// `websocket.http.response.start`.
    WsDenialStart,
    /// `websocket.http.response.body`.
    WsDenialBody {
        /// More body events follow.
        more: bool,
    },
    /// `lifespan.startup.complete`.
    StartupComplete,
    /// `lifespan.startup.failed`.
    StartupFailed,
    /// The server delivered `lifespan.shutdown`.
    ShutdownDelivered,
    /// `lifespan.shutdown.complete` or `.failed`.
    ShutdownAnswered,
}

/// Why an event is illegal now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// The event needs an earlier one.
    Before(&'static str, &'static str),
    /// The event cannot come after an earlier one.
    After(&'static str, &'static str),
    /// `http.response.trailers` without `trailers => 1` on start (TRLR-1).
    TrailersNotPromised,
    /// `file` or `fh` after inline bytes (BODY-13).
    MixedBody,
    /// Declining after streaming began (SSE-34).
    DeclineAfterStart,
    /// The event belongs to another scope type (EVT-6).
    Foreign,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(event, needed) => write!(f, "cannot send '{event}' before {needed}"),
            Self::After(event, earlier) => write!(f, "cannot send '{event}' after {earlier}"),
            Self::TrailersNotPromised => {
                f.write_str("cannot send 'http.response.trailers': http.response.start did not say trailers => 1")
            }
            Self::MixedBody => {
                f.write_str("http.response.body with 'file' or 'fh' cannot follow body events with inline content")
            }
            Self::DeclineAfterStart => f.write_str("cannot decline with sse.http.response.start after sse.start"),
            Self::Foreign => f.write_str("this event does not belong to this scope type"),
        }
    }
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::ResponseStart { .. } => "http.response.start",
            Self::ResponseBody { .. } | Self::ResponseFile => "http.response.body",
            Self::ResponseTrailers => "http.response.trailers",
            Self::FullFlush => "http.fullflush",
            Self::SseStart => "sse.start",
            Self::SseSend => "sse.send",
            Self::SseComment => "sse.comment",
            Self::SseKeepalive => "sse.keepalive",
            Self::SseClose => "sse.close",
            Self::SseDeclineStart => "sse.http.response.start",
            Self::SseDeclineBody { .. } => "sse.http.response.body",
            Self::WsAccept => "websocket.accept",
            Self::WsSend => "websocket.send",
            Self::WsKeepalive => "websocket.keepalive",
            Self::WsClose => "websocket.close",
            Self::WsDenialStart => "websocket.http.response.start",
            Self::WsDenialBody { .. } => "websocket.http.response.body",
            Self::StartupComplete => "lifespan.startup.complete",
            Self::StartupFailed => "lifespan.startup.failed",
            Self::ShutdownDelivered => "lifespan.shutdown",
            Self::ShutdownAnswered => "lifespan.shutdown.complete",
        }
    }

    fn is_decline(self) -> bool {
        matches!(self, Self::SseDeclineStart | Self::SseDeclineBody { .. })
    }

    fn is_stream(self) -> bool {
        matches!(self, Self::SseSend | Self::SseComment | Self::SseKeepalive)
    }
}

impl Sequence {
    /// The state after a step, or why the step is illegal.
    pub fn after(self, step: Step) -> Result<Self, Violation> {
        match (self, step) {
            (Self::Http(_) | Self::SseUndecided | Self::SseStreaming | Self::SseDeclined(_), Step::FullFlush) => {
                Ok(self)
            }
            (Self::Http(response), _) => response.after(step).map(Self::Http),
            (Self::SseUndecided, Step::SseStart) => Ok(Self::SseStreaming),
            (Self::SseUndecided, Step::SseDeclineStart) => Ok(Self::SseDeclined(Response::Started { trailers: false })),
            (Self::SseUndecided, Step::SseDeclineBody { .. }) => {
                Err(Violation::Before(step.name(), "sse.http.response.start"))
            }
            (Self::SseUndecided, _) if step.is_stream() || step == Step::SseClose => {
                Err(Violation::Before(step.name(), "sse.start"))
            }
            (Self::SseStreaming, Step::SseClose) => Ok(Self::SseClosed),
            (Self::SseStreaming, _) if step.is_stream() => Ok(self),
            (Self::SseStreaming, Step::SseStart) => Err(Violation::After(step.name(), "sse.start")),
            (Self::SseStreaming | Self::SseClosed, _) if step.is_decline() => Err(Violation::DeclineAfterStart),
            (Self::SseClosed, Step::SseClose) => Ok(self),
            (Self::SseClosed, _) if step.is_stream() || matches!(step, Step::SseStart | Step::FullFlush) => {
                Err(Violation::After(step.name(), "sse.close"))
            }
            (Self::SseDeclined(response), Step::SseDeclineBody { more }) => {
                let plain = Step::ResponseBody { more, empty: false };
                match response.after(plain) {
                    Ok(next) => Ok(Self::SseDeclined(next)),
                    Err(_) => Err(Violation::After(step.name(), "the end of the response")),
                }
            }
            (Self::SseDeclined(_), Step::SseStart | Step::SseClose | Step::SseDeclineStart) => {
                Err(Violation::After(step.name(), "sse.http.response.start"))
            }
            (Self::SseDeclined(_), _) if step.is_stream() => {
                Err(Violation::After(step.name(), "sse.http.response.start"))
            }
            (Self::WebSocket(state), _) => state.after(step).map(Self::WebSocket),
            (Self::Lifespan(state), _) => state.after(step).map(Self::Lifespan),
            _ => Err(Violation::Foreign),
        }
    }

    /// Whether a response or stream has begun: what `response_started` reports (CONN-11).
    #[must_use]
    pub fn is_started(self) -> bool {
        !matches!(
            self,
            Self::Http(Response::Unstarted)
                | Self::SseUndecided
                | Self::WebSocket(WebSocket::Connecting)
                | Self::Lifespan(_)
        )
    }

    /// Whether the terminal event was sent (RESP-4).
    #[must_use]
    pub fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Http(Response::Complete)
                | Self::SseClosed
                | Self::SseDeclined(Response::Complete)
                | Self::WebSocket(WebSocket::Rejected | WebSocket::Denied(Response::Complete))
        )
    }
}

impl Response {
    fn after(self, step: Step) -> Result<Self, Violation> {
        match (self, step) {
            (Self::Unstarted, Step::ResponseStart { trailers }) => Ok(Self::Started { trailers }),
            (Self::Unstarted, Step::ResponseBody { .. } | Step::ResponseFile | Step::ResponseTrailers) => {
                Err(Violation::Before(step.name(), "http.response.start"))
            }
            (_, Step::ResponseStart { .. }) => Err(Violation::After(step.name(), "http.response.start")),
            (Self::Complete, Step::ResponseBody { .. } | Step::ResponseFile | Step::ResponseTrailers) => {
                Err(Violation::After(step.name(), "the end of the response"))
            }
            (Self::AwaitingTrailers, Step::ResponseBody { .. } | Step::ResponseFile) => {
                Err(Violation::After(step.name(), "the last body event"))
            }
            (Self::AwaitingTrailers, Step::ResponseTrailers) => Ok(Self::Complete),
            (Self::Started { trailers }, Step::ResponseBody { more: true, empty: true }) => {
                Ok(Self::Started { trailers })
            }
            (Self::Started { trailers } | Self::Streaming { trailers }, Step::ResponseBody { more: true, .. }) => {
                Ok(Self::Streaming { trailers })
            }
            (Self::Streaming { .. }, Step::ResponseFile) => Err(Violation::MixedBody),
            (
                Self::Started { trailers } | Self::Streaming { trailers },
                Step::ResponseBody { more: false, .. } | Step::ResponseFile,
            ) => Ok(if trailers { Self::AwaitingTrailers } else { Self::Complete }),
            (Self::Started { trailers } | Self::Streaming { trailers }, Step::ResponseTrailers) => Err(if trailers {
                Violation::Before(step.name(), "the last body event")
            } else {
                Violation::TrailersNotPromised
            }),
            _ => Err(Violation::Foreign),
        }
    }
}

impl WebSocket {
    fn after(self, step: Step) -> Result<Self, Violation> {
        let name = step.name();
        let is_ours = matches!(
            step,
            Step::WsAccept
                | Step::WsSend
                | Step::WsKeepalive
                | Step::WsClose
                | Step::WsDenialStart
                | Step::WsDenialBody { .. }
        );
        match (self, step) {
            _ if !is_ours => Err(Violation::Foreign),
            (Self::Connecting, Step::WsAccept) => Ok(Self::Open),
            (Self::Connecting, Step::WsClose) => Ok(Self::Rejected),
            (Self::Connecting, Step::WsDenialStart) => Ok(Self::Denied(Response::Started { trailers: false })),
            (Self::Connecting, Step::WsDenialBody { .. }) => {
                Err(Violation::Before(name, "websocket.http.response.start"))
            }
            (Self::Connecting, _) => Err(Violation::Before(name, "websocket.accept")),
            (Self::Open, Step::WsSend | Step::WsKeepalive) => Ok(Self::Open),
            (Self::Open, Step::WsClose) => Ok(Self::Closed),
            (Self::Open, _) => Err(Violation::After(name, "websocket.accept")),
            (Self::Closed | Self::Rejected, _) => Err(Violation::After(name, "websocket.close")),
            (Self::Denied(response), Step::WsDenialBody { more }) => response
                .after(Step::ResponseBody { more, empty: false })
                .map(Self::Denied)
                .map_err(|_| Violation::After(name, "the end of the response")),
            (Self::Denied(_), _) => Err(Violation::After(name, "websocket.http.response.start")),
        }
    }
}

impl Lifespan {
    fn after(self, step: Step) -> Result<Self, Violation> {
        match (self, step) {
            (Self::Starting, Step::StartupComplete) => Ok(Self::Running),
            (Self::Starting, Step::StartupFailed) => Ok(Self::Over),
            (Self::Running, Step::ShutdownDelivered) => Ok(Self::Stopping),
            (Self::Stopping, Step::ShutdownAnswered) => Ok(Self::Over),
            (Self::Starting | Self::Running, Step::ShutdownAnswered) => {
                Err(Violation::Before(step.name(), "lifespan.shutdown"))
            }
            (_, Step::StartupComplete | Step::StartupFailed) => {
                Err(Violation::After(step.name(), "start-up was answered"))
            }
            (Self::Over, Step::ShutdownAnswered) => Err(Violation::After(step.name(), "shutdown was answered")),
            _ => Err(Violation::Foreign),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lifespan::{Over, Running, Starting, Stopping};
    use super::Response::{AwaitingTrailers, Complete, Started, Streaming, Unstarted};
    use super::Sequence::{Http, Lifespan, SseClosed, SseDeclined, SseStreaming, SseUndecided};
    use super::*;

    const START: Step = Step::ResponseStart { trailers: false };
    const START_TRAILERS: Step = Step::ResponseStart { trailers: true };
    const MORE: Step = Step::ResponseBody { more: true, empty: false };
    const NOTHING_YET: Step = Step::ResponseBody { more: true, empty: true };
    const LAST: Step = Step::ResponseBody { more: false, empty: false };
    const FILE: Step = Step::ResponseFile;
    const TRAILERS: Step = Step::ResponseTrailers;

    /// Every cell of the http matrix: `None` is a violation.
    #[test]
    fn send_11_resp_4_http_matrix() {
        let states = [
            Unstarted,
            Started { trailers: false },
            Started { trailers: true },
            Streaming { trailers: false },
            Streaming { trailers: true },
            AwaitingTrailers,
            Complete,
        ];
        let steps = [START, START_TRAILERS, NOTHING_YET, MORE, LAST, FILE, TRAILERS];
        let plain = Started { trailers: false };
        let promised = Started { trailers: true };
        let flowing = Streaming { trailers: false };
        let flowing_promised = Streaming { trailers: true };
        let expected: [[Option<Response>; 7]; 7] = [
            [Some(plain), Some(promised), None, None, None, None, None],
            [None, None, Some(plain), Some(flowing), Some(Complete), Some(Complete), None],
            [None, None, Some(promised), Some(flowing_promised), Some(AwaitingTrailers), Some(AwaitingTrailers), None],
            [None, None, Some(flowing), Some(flowing), Some(Complete), None, None],
            [None, None, Some(flowing_promised), Some(flowing_promised), Some(AwaitingTrailers), None, None],
            [None, None, None, None, None, None, Some(Complete)],
            [None; 7],
        ];
        for (state, row) in states.into_iter().zip(expected) {
            for (step, cell) in steps.into_iter().zip(row) {
                assert_eq!(Http(state).after(step).ok(), cell.map(Http), "{state:?} + {step:?}");
            }
        }
    }

    #[test]
    fn trlr_1_body_13_messages() {
        let no_promise = Http(Streaming { trailers: false }).after(TRAILERS).unwrap_err();
        assert_eq!(no_promise, Violation::TrailersNotPromised);
        assert_eq!(Http(Streaming { trailers: false }).after(FILE).unwrap_err(), Violation::MixedBody);
        let early = Http(Unstarted).after(LAST).unwrap_err();
        assert_eq!(early.to_string(), "cannot send 'http.response.body' before http.response.start");
    }

    #[test]
    fn send_11_sse_34_sse_matrix() {
        let declined = |response| SseDeclined(response);
        let begun = Started { trailers: false };
        let steps = [
            Step::SseStart,
            Step::SseSend,
            Step::SseComment,
            Step::SseKeepalive,
            Step::SseClose,
            Step::SseDeclineStart,
            Step::SseDeclineBody { more: true },
            Step::SseDeclineBody { more: false },
            Step::FullFlush,
        ];
        let streaming = Some(SseStreaming);
        let expected: [(Sequence, [Option<Sequence>; 9]); 5] = [
            (SseUndecided, [streaming, None, None, None, None, Some(declined(begun)), None, None, Some(SseUndecided)]),
            (SseStreaming, [None, streaming, streaming, streaming, Some(SseClosed), None, None, None, streaming]),
            (SseClosed, [None, None, None, None, Some(SseClosed), None, None, None, None]),
            (
                declined(begun),
                [
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                    Some(declined(Streaming { trailers: false })),
                    Some(declined(Complete)),
                    Some(declined(begun)),
                ],
            ),
            (declined(Complete), [None, None, None, None, None, None, None, None, Some(declined(Complete))]),
        ];
        for (state, row) in expected {
            for (step, cell) in steps.into_iter().zip(row) {
                assert_eq!(state.after(step).ok(), cell, "{state:?} + {step:?}");
            }
        }
    }

    #[test]
    fn sse_27_sse_34_messages() {
        let message = |state: Sequence, step| state.after(step).unwrap_err().to_string();
        assert_eq!(message(SseClosed, Step::SseSend), "cannot send 'sse.send' after sse.close");
        assert_eq!(
            message(SseStreaming, Step::SseDeclineStart),
            "cannot decline with sse.http.response.start after sse.start"
        );
        assert_eq!(
            message(SseDeclined(Complete), Step::SseSend),
            "cannot send 'sse.send' after sse.http.response.start"
        );
    }

    #[test]
    fn send_11_ws_19_ws_33_ws_41_ws_42_websocket_matrix() {
        use super::WebSocket::{Closed, Connecting, Denied, Open, Rejected};
        let begun = Denied(Started { trailers: false });
        let steps = [
            Step::WsAccept,
            Step::WsSend,
            Step::WsKeepalive,
            Step::WsClose,
            Step::WsDenialStart,
            Step::WsDenialBody { more: true },
            Step::WsDenialBody { more: false },
        ];
        let flowing = Denied(Streaming { trailers: false });
        let expected = [
            (Connecting, [Some(Open), None, None, Some(Rejected), Some(begun), None, None]),
            (Open, [None, Some(Open), Some(Open), Some(Closed), None, None, None]),
            (Closed, [None; 7]),
            (Rejected, [None; 7]),
            (begun, [None, None, None, None, None, Some(flowing), Some(Denied(Complete))]),
            (Denied(Complete), [None; 7]),
        ];
        for (state, row) in expected {
            for (step, cell) in steps.into_iter().zip(row) {
                assert_eq!(
                    Sequence::WebSocket(state).after(step).ok(),
                    cell.map(Sequence::WebSocket),
                    "{state:?} + {step:?}"
                );
            }
        }
    }

    #[test]
    fn life_19_matrix() {
        let steps = [Step::StartupComplete, Step::StartupFailed, Step::ShutdownDelivered, Step::ShutdownAnswered];
        let expected = [
            (Starting, [Some(Running), Some(Over), None, None]),
            (Running, [None, None, Some(Stopping), None]),
            (Stopping, [None, None, None, Some(Over)]),
            (Over, [None, None, None, None]),
        ];
        for (state, row) in expected {
            for (step, cell) in steps.into_iter().zip(row) {
                assert_eq!(Lifespan(state).after(step).ok(), cell.map(Lifespan), "{state:?} + {step:?}");
            }
        }
    }

    #[test]
    fn evt_6_foreign_families() {
        assert_eq!(Http(Unstarted).after(Step::SseStart), Err(Violation::Foreign));
        assert_eq!(SseUndecided.after(START), Err(Violation::Foreign));
        assert_eq!(Lifespan(Starting).after(START), Err(Violation::Foreign));
        assert_eq!(SseClosed.after(Step::FullFlush), Err(Violation::After("http.fullflush", "sse.close")));
    }
}
