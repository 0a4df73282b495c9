//! Calling the application with a scope built from a request.

use std::ffi::c_int;

use pagi_server_core::config::Config;
use pagi_server_core::path::{self, Path};
use pagi_server_core::scope::{Peer, RequestHead, ScopeKind};
use pagi_server_core::tls::TlsInfo;
use smallvec::SmallVec;

use super::ffi::{self, Header, Str};
use super::handles::Handles;
use super::value::{Outcome, Scalar};

/// Calls the application for a request.
pub(crate) fn call_application(
    app: &Scalar,
    head: &RequestHead,
    peer: &Peer,
    config: &Config,
    request_id: Option<&[u8]>,
    handles: &Handles,
    state: &Scalar,
) -> Outcome {
    let headers: SmallVec<[Header; 32]> =
        head.headers().iter().map(|(name, value)| Header { name: name.into(), value: value.into() }).collect();
    let subprotocols: SmallVec<[Str; 4]> =
        head.subprotocols().iter().map(|subprotocol| subprotocol.as_str().into()).collect();
    let path = path::decode(path::strip_root(head.raw_path(), &config.root_path));
    let (path_bytes, path_is_text) = match &path {
        Path::Text(text) => (text.as_bytes(), true),
        Path::Octets(octets) => (octets.as_slice(), false),
    };
    let tls = peer.tls.as_deref().map(TlsStrings::of);
    let tls = tls.as_ref().map(TlsStrings::lend);
    let scope = ffi::Scope {
        kind: match head.kind {
            ScopeKind::Http => 0,
            ScopeKind::Sse => 1,
            ScopeKind::WebSocket => 2,
        },
        path_is_text: c_int::from(path_is_text),
        fullflush: c_int::from(config.fullflush),
        http_version: head.client_version.as_str().into(),
        method: head.method().into(),
        scheme: scheme(head.kind, peer.secure).into(),
        path: path_bytes.into(),
        raw_path: head.raw_path().into(),
        query_string: head.query_string().into(),
        root_path: config.root_path.as_str().into(),
        request_id: request_id.map_or(Str::NONE, Str::from),
        client_host: peer.client.as_ref().map_or(Str::NONE, |(host, _)| host.as_str().into()),
        client_port: peer.client.as_ref().map_or(0, |(_, port)| c_int::from(*port)),
        server_host: peer.server.0.as_str().into(),
        server_port: peer.server.1.map_or(-1, c_int::from),
        headers: headers.as_ptr(),
        header_count: headers.len(),
        subprotocols: subprotocols.as_ptr(),
        subprotocol_count: subprotocols.len(),
        tls: tls.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
    };
    let mut result = std::ptr::null_mut();
    // SAFETY: one thread, no longjmp; everything `scope` points to outlives the call, which copies it.
    let outcome = unsafe {
        ffi::pagi_call_application(app.as_ptr(), &raw const scope, handles.as_ptr(), state.as_ptr(), &raw mut result)
    };
    Outcome::from_raw(outcome, result)
}

/// The facts of a TLS session while they are lent to C.
struct TlsStrings<'a> {
    info: &'a TlsInfo,
    chain: SmallVec<[Str; 4]>,
}

impl<'a> TlsStrings<'a> {
    fn of(info: &'a TlsInfo) -> Self {
        Self { info, chain: info.client_cert_chain.iter().map(|certificate| certificate.as_str().into()).collect() }
    }

    fn lend(&self) -> ffi::Tls {
        let optional = |text: &Option<String>| text.as_deref().map_or(Str::NONE, Str::from);
        ffi::Tls {
            server_cert: (&*self.info.server_cert).into(),
            client_cert_name: optional(&self.info.client_cert_name),
            client_cert_error: optional(&self.info.client_cert_error),
            client_cert_chain: self.chain.as_ptr(),
            client_cert_count: self.chain.len(),
            version: self.info.version.into(),
            cipher_suite: self.info.cipher_suite.into(),
        }
    }
}

fn scheme(kind: ScopeKind, is_secure: bool) -> &'static str {
    match (kind, is_secure) {
        (ScopeKind::WebSocket, false) => "ws",
        (ScopeKind::WebSocket, true) => "wss",
        (_, false) => "http",
        (_, true) => "https",
    }
}

/// Calls the application for lifespan; `worker_num` is `None` in single-process mode (LIFE-5).
pub(crate) fn call_lifespan(app: &Scalar, worker_num: Option<u32>, handles: &Handles, state: &Scalar) -> Outcome {
    let worker_num = worker_num.map_or(0, |num| c_int::try_from(num).unwrap_or(c_int::MAX));
    let mut result = std::ptr::null_mut();
    // SAFETY: one thread, no longjmp.
    let outcome =
        unsafe { ffi::pagi_call_lifespan(app.as_ptr(), worker_num, handles.as_ptr(), state.as_ptr(), &raw mut result) };
    Outcome::from_raw(outcome, result)
}
