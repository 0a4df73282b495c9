//! Application side: what the server makes of a response before it is encoded. Sequence and backpressure know nothing of
//! it: an event is what the application has sent, whatever leaves.

use super::{Exchange, Inner};
use crate::coding::Coding;
use crate::compress::encoder::Encoder;
use crate::compress::policy::{self, CompressionOptions, Decision};
use crate::event::{Content, Part};
use crate::framing::{Framing, declared_length};
use crate::header::HeaderList;
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::scope::ScopeKind;
use crate::websocket::handshake;

/// What happens to the response that was started.
#[derive(Default)]
pub(super) enum Filter {
    /// It goes out as it is.
    #[default]
    Nothing,
    /// Its head waits for the first body event, which says how much there is to compress.
    Waiting(Box<Waiting>),
    /// Its body is compressed; of the declared length so much is owed.
    Compressing(Box<Encoder>, Framing),
    /// A file took the place of its body.
    Replaced,
}

pub(super) struct Waiting {
    status: u16,
    headers: HeaderList,
    close: bool,
    coding: Coding,
    declared: Option<u64>,
}

impl Exchange {
    /// The head of an ordinary response.
    pub(super) fn start(&self, inner: &mut Inner, status: u16, mut headers: HeaderList) -> Result<(), String> {
        let close = self.head.kind != ScopeKind::Http || self.closes();
        let Some(outgoing) = self.worker.outgoing() else { return self.encode_start(inner, status, &headers, close) };
        outgoing.add_fields(&self.head, self.peer.secure, &mut headers);
        if self.head.kind == ScopeKind::WebSocket {
            return self.encode_start(inner, status, &headers, close);
        }
        if let Some(delegate) = &outgoing.delegate
            && let Some(answer) = delegate.replace(&self.head, status, &headers)
        {
            self.encode_start(inner, answer.status, &answer.headers, close)?;
            self.take_content(inner, answer.content)?;
            inner.held = false;
            inner.filter = Filter::Replaced;
            return Ok(());
        }
        if let Some(compression) = &outgoing.compression {
            return self.start_compressible(inner, compression, status, headers, close);
        }
        self.encode_start(inner, status, &headers, close)
    }

    /// Fields of a response of the server's own in place of the application's.
    pub(crate) fn refusal_fields(&self, refusal: Refusal) -> HeaderList {
        let outgoing = self.worker.outgoing();
        let name = outgoing
            .and_then(|outgoing| outgoing.request_id.as_ref())
            .and_then(|field| self.head.headers().get(field.as_bytes()));
        refusal.fields(outgoing, name, self.peer.secure)
    }

    /// Fields of an accepted handshake: the application's, and what is missing of the server's, but for those that the
    /// handshake writes itself.
    pub(super) fn handshake_fields(&self, mut headers: HeaderList) -> HeaderList {
        let Some(outgoing) = self.worker.outgoing() else { return headers };
        let mut with_ours = headers.clone();
        outgoing.add_fields(&self.head, self.peer.secure, &mut with_ours);
        let ours = with_ours.iter().skip(headers.len()).filter(|(name, _)| !handshake::writes(name));
        ours.for_each(|(name, value)| headers.push(name, value));
        headers
    }

    /// The head of an event stream.
    pub(super) fn start_stream(&self, inner: &mut Inner, status: u16, mut headers: HeaderList) -> Result<(), String> {
        if let Some(outgoing) = self.worker.outgoing() {
            outgoing.add_fields(&self.head, self.peer.secure, &mut headers);
        }
        inner.wire.start_stream(&mut inner.out, status, headers, self.closes(), &self.worker.config)?;
        inner.status = status;
        Ok(())
    }

    fn encode_start(&self, inner: &mut Inner, status: u16, headers: &HeaderList, close: bool) -> Result<(), String> {
        inner.wire.start(&mut inner.out, status, headers, close, &self.worker.config)?;
        inner.status = status;
        inner.held = true;
        Ok(())
    }

    fn start_compressible(
        &self,
        inner: &mut Inner,
        compression: &CompressionOptions,
        status: u16,
        mut headers: HeaderList,
        close: bool,
    ) -> Result<(), String> {
        let declared = declared_length(&headers)?;
        match compression.decide(&self.head, status, &headers, declared) {
            Decision::Leave => {}
            Decision::Vary => policy::vary(&mut headers),
            // HEAD-2: the fields are those of a GET; how long its body would be is not known.
            Decision::Compress(coding) if self.head.is_head() && declared.is_some() => {
                policy::transform(&mut headers, coding, None);
            }
            Decision::Compress(_) if self.head.is_head() => policy::vary(&mut headers),
            Decision::Compress(coding) => {
                // Whatever is wrong with the head fails this event and not a later one (SEND-10).
                inner.wire.check(&headers)?;
                inner.status = status;
                inner.held = true;
                inner.filter = Filter::Waiting(Box::new(Waiting { status, headers, close, coding, declared }));
                return Ok(());
            }
        }
        self.encode_start(inner, status, &headers, close)
    }

    /// Sends the head that waits before there is a body.
    pub(super) fn flush(&self, inner: &mut Inner) -> Result<(), String> {
        let level =
            self.worker.outgoing().and_then(|outgoing| outgoing.compression.as_ref()).map(|options| options.level);
        match (std::mem::take(&mut inner.filter), level) {
            (Filter::Waiting(waiting), Some(level)) => match Encoder::new(waiting.coding, level) {
                Ok(encoder) => self.begin_stream(inner, *waiting, encoder),
                Err(_) => {
                    inner.filter = Filter::Waiting(waiting);
                    self.commit(inner)
                }
            },
            (filter, _) => {
                inner.filter = filter;
                Ok(())
            }
        }
    }

    fn begin_stream(&self, inner: &mut Inner, waiting: Waiting, encoder: Encoder) -> Result<(), String> {
        let Waiting { status, mut headers, close, coding, declared } = waiting;
        policy::transform(&mut headers, coding, None);
        self.encode_start(inner, status, &headers, close)?;
        inner.filter = Filter::Compressing(Box::new(encoder), declared.map_or(Framing::Frames, Framing::Length));
        Ok(())
    }

    /// Sends the head that waits, for a body that is not compressed.
    pub(super) fn commit(&self, inner: &mut Inner) -> Result<(), String> {
        if let Filter::Waiting(waiting) = std::mem::take(&mut inner.filter) {
            let Waiting { status, mut headers, close, .. } = *waiting;
            policy::vary(&mut headers);
            self.encode_start(inner, status, &headers, close)?;
        }
        Ok(())
    }

    /// Bytes of the body.
    pub(super) fn take_bytes(&self, inner: &mut Inner, bytes: &[u8], more: bool) -> Result<(), String> {
        match std::mem::take(&mut inner.filter) {
            Filter::Nothing => self.encode_bytes(inner, bytes)?,
            Filter::Replaced => {
                inner.filter = Filter::Replaced;
                return Ok(());
            }
            Filter::Waiting(waiting) if bytes.is_empty() && more => inner.filter = Filter::Waiting(waiting),
            Filter::Waiting(waiting) => self.begin_body(inner, waiting, bytes, more)?,
            Filter::Compressing(encoder, owed) => self.compress(inner, encoder, owed, bytes, more)?,
        }
        inner.held = inner.held && more && bytes.is_empty();
        Ok(())
    }

    /// The first bytes decide.
    fn begin_body(&self, inner: &mut Inner, waiting: Box<Waiting>, bytes: &[u8], more: bool) -> Result<(), String> {
        let Some(compression) = self.worker.outgoing().and_then(|outgoing| outgoing.compression.as_ref()) else {
            return Ok(());
        };
        let length = bytes.len() as u64;
        let honest = more || waiting.declared.is_none_or(|declared| declared == length);
        let enough = more || bytes.len() >= compression.min_size;
        let begun = if honest && enough { Encoder::new(waiting.coding, compression.level).ok() } else { None };
        let Some(encoder) = begun else {
            inner.filter = Filter::Waiting(waiting);
            self.commit(inner)?;
            return self.encode_bytes(inner, bytes);
        };
        if !more {
            let Waiting { status, mut headers, close, coding, .. } = *waiting;
            let compressed = encoder.finish(bytes).map_err(|error| broken(&error))?;
            if compressed.len() >= bytes.len() {
                policy::vary(&mut headers);
                self.encode_start(inner, status, &headers, close)?;
                return self.encode_bytes(inner, bytes);
            }
            policy::transform(&mut headers, coding, Some(compressed.len()));
            self.encode_start(inner, status, &headers, close)?;
            return self.encode_bytes(inner, &compressed);
        }
        self.begin_stream(inner, *waiting, encoder)?;
        match std::mem::take(&mut inner.filter) {
            Filter::Compressing(encoder, owed) => self.compress(inner, encoder, owed, bytes, more),
            _ => Ok(()),
        }
    }

    fn compress(
        &self,
        inner: &mut Inner,
        mut encoder: Box<Encoder>,
        mut owed: Framing,
        bytes: &[u8],
        more: bool,
    ) -> Result<(), String> {
        if let Err(reason) = owed.account(bytes.len() as u64) {
            inner.filter = Filter::Compressing(encoder, owed);
            return Err(reason);
        }
        if more {
            if !bytes.is_empty() {
                let compressed = encoder.piece(bytes).map_err(|error| broken(&error))?;
                self.encode_bytes(inner, &compressed)?;
            }
            inner.filter = Filter::Compressing(encoder, owed);
            return Ok(());
        }
        if matches!(owed, Framing::Length(1..)) {
            // BODY-12, RESP-5: less than was declared, and the client must see that.
            inner.reason = Some(Reason::ServerError);
            inner.cut = true;
            let compressed = encoder.piece(bytes).map_err(|error| broken(&error))?;
            return self.encode_bytes(inner, &compressed);
        }
        let compressed = encoder.finish(bytes).map_err(|error| broken(&error))?;
        self.encode_bytes(inner, &compressed)
    }

    fn encode_bytes(&self, inner: &mut Inner, bytes: &[u8]) -> Result<(), String> {
        inner.wire.body(&mut inner.out, bytes)?;
        if !inner.wire.discards() {
            inner.body_bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// A body that is not only bytes of the application.
    pub(super) fn take_content(&self, inner: &mut Inner, content: Content<'_>) -> Result<(), String> {
        let parts = match content {
            Content::Inline(bytes) => return self.encode_bytes(inner, bytes),
            Content::File(range) => vec![Part::File(range)],
            Content::Parts(parts) => parts,
            Content::Handle => return Ok(()),
        };
        self.commit(inner)?;
        let mut sent = 0;
        for part in parts {
            match part {
                Part::Bytes(bytes) => {
                    sent += bytes.len() as u64;
                    inner.wire.body(&mut inner.out, &bytes)?;
                }
                Part::File(range) => {
                    sent += range.length;
                    inner.wire.file(&mut inner.out, range)?;
                }
            }
        }
        if !inner.wire.discards() {
            inner.body_bytes += sent;
        }
        inner.held = false;
        Ok(())
    }
}

fn broken(error: &std::io::Error) -> String {
    format!("the response cannot be compressed: {error}")
}
