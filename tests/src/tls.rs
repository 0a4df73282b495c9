//! TLS as a client sees it: certificates made for a test, and connections that say exactly how they ended.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::http::Response;
use crate::raw::PATIENCE;

/// A certificate authority and a directory for what it issues.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// A certificate and its key, in memory and as files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// PEM chain.
    pub cert: PathBuf,
    /// PEM key.
    pub key: PathBuf,
    /// DER of the chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    serial: Vec<u8>,
}

impl Identity {
    /// The options that make a server present it.
    pub fn options(&self) -> Vec<String> {
        let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        vec!["--ssl-cert".to_owned(), text(&self.cert), "--ssl-key".to_owned(), text(&self.key)]
    }

    /// Replaces the files of another identity by this one's, as an ACME client does it.
    pub fn replace(&self, other: &Self) {
        for (new, old) in [(&self.cert, &other.cert), (&self.key, &other.key)] {
            let beside = old.with_extension("new");
            std::fs::copy(new, &beside).expect("a file can be copied");
            std::fs::rename(&beside, old).expect("a file can be renamed");
        }
    }
}

/// What a certificate is to say.
#[derive(Debug, Default, Clone)]
pub struct Wanted {
    /// Names of a server; none for a client.
    pub names: Vec<String>,
    /// Subject, most general part first.
    pub subject: Vec<(Part, String)>,
    /// Whether its time is over.
    pub expired: bool,
}

/// A part of a subject.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// `C`.
    Country,
    /// `O`.
    Organization,
    /// `CN`.
    CommonName,
}

fn params(wanted: &Wanted) -> CertificateParams {
    let mut params = CertificateParams::new(wanted.names.clone()).expect("names are names");
    let mut name = DistinguishedName::new();
    for (part, value) in &wanted.subject {
        let kind = match part {
            Part::Country => DnType::CountryName,
            Part::Organization => DnType::OrganizationName,
            Part::CommonName => DnType::CommonName,
        };
        name.push(kind, value.as_str());
    }
    params.distinguished_name = name;
    if wanted.expired {
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(&Wanted { subject: vec![(Part::CommonName, name.to_owned())], ..Wanted::default() });
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}

impl Authority {
    /// A root.
    pub fn new(name: &str) -> Self {
        let issuer = CertifiedIssuer::self_signed(authority_params(name), new_key()).expect("a root can be made");
        let directory = tempfile::Builder::new().prefix("pagi-ca-").tempdir().expect("a directory can be made");
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("a file can be written");
        Self { issuer, directory }
    }

    /// The root's certificate as a file.
    pub fn file(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A path in the authority's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate for a server of these names, in files of this name.
    pub fn server(&self, file: &str, names: &[&str]) -> Identity {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        self.issue(file, &Wanted { names, ..Wanted::default() })
    }

    /// A certificate for a client of this common name.
    pub fn client(&self, file: &str, name: &str) -> Identity {
        self.issue(file, &Wanted { subject: vec![(Part::CommonName, name.to_owned())], ..Wanted::default() })
    }

    /// Any certificate.
    pub fn issue(&self, file: &str, wanted: &Wanted) -> Identity {
        let key = new_key();
        let leaf = self.sign(params(wanted), &key);
        self.store(file, &key, leaf, None)
    }

    /// The same by way of an authority between the root and it, which goes with the chain.
    pub fn issue_indirectly(&self, file: &str, wanted: &Wanted) -> Identity {
        let between = CertifiedIssuer::signed_by(authority_params("Between"), new_key(), &self.issuer)
            .expect("an intermediate authority can be made");
        let key = new_key();
        let mut params = params(wanted);
        params.serial_number = Some(serial());
        let serial = params.serial_number.clone().map(|serial| serial.to_bytes()).unwrap_or_default();
        let leaf = params.signed_by(&key, &between).expect("a certificate can be signed");
        self.store(file, &key, (leaf, serial), Some(&between))
    }

    fn sign(&self, mut params: CertificateParams, key: &KeyPair) -> (rcgen::Certificate, Vec<u8>) {
        let number = serial();
        let bytes = number.to_bytes();
        params.serial_number = Some(number);
        (params.signed_by(key, &self.issuer).expect("a certificate can be signed"), bytes)
    }

    fn store(
        &self,
        file: &str,
        key: &KeyPair,
        (leaf, serial): (rcgen::Certificate, Vec<u8>),
        above: Option<&CertifiedIssuer<'static, KeyPair>>,
    ) -> Identity {
        let chain = std::iter::once(leaf.der().clone()).chain(above.map(|above| above.der().clone())).collect();
        let pem = leaf.pem() + &above.map(CertifiedIssuer::pem).unwrap_or_default();
        let (cert_path, key_path) = (self.path(&format!("{file}.crt")), self.path(&format!("{file}.key")));
        std::fs::write(&cert_path, pem).expect("a file can be written");
        std::fs::write(&key_path, key.serialize_pem()).expect("a file can be written");
        Identity { cert: cert_path, key: key_path, chain, serial }
    }

    /// Writes a revocation list with these certificates on it.
    pub fn revoke(&self, file: &str, revoked: &[&Identity]) -> PathBuf {
        let revoked_certs = revoked
            .iter()
            .map(|identity| RevokedCertParams {
                serial_number: SerialNumber::from_slice(&identity.serial),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = self.path(file);
        let pem = list.signed_by(&self.issuer).and_then(|list| list.pem()).expect("a list can be signed");
        std::fs::write(&path, pem).expect("a file can be written");
        path
    }
}

/// Numbers that do not repeat within a test process.
fn serial() -> SerialNumber {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    SerialNumber::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A client with settings of its own; connections made with it share its sessions.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    name: String,
}

impl Client {
    /// A client that trusts an authority and asks for `localhost`.
    pub fn new(authority: &Authority) -> Self {
        Self::with(authority, None, &[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    /// The same with a certificate of its own.
    pub fn with_certificate(authority: &Authority, identity: &Identity) -> Self {
        Self::with(authority, Some(identity), &[&rustls::version::TLS13, &rustls::version::TLS12])
    }

    /// A client that speaks these versions only.
    pub fn with(
        authority: &Authority,
        identity: Option<&Identity>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.issuer.der().clone()).expect("a root is a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the versions exist")
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::from_pem_file(&identity.key).expect("a key is a key");
                builder.with_client_auth_cert(identity.chain.clone(), key).expect("key and certificate fit")
            }
        };
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(8)));
        Self { config: Arc::new(config), name: "localhost".to_owned() }
    }

    /// The same client, asking for another name.
    #[must_use]
    pub fn asking_for(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The same client, offering these protocols.
    #[must_use]
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols =
            protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// Connects and makes the handshake; the error is what the server or the library said.
    pub fn try_connect(&self, address: SocketAddr) -> io::Result<Connection> {
        let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(self.name.clone()).expect("a name is a name");
        let session = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Connection { stream, received: Vec::new() })
    }

    /// The first thing such a client says.
    pub fn hello(&self) -> Vec<u8> {
        let name = ServerName::try_from(self.name.clone()).expect("a name is a name");
        let mut session = ClientConnection::new(Arc::clone(&self.config), name).expect("a session can begin");
        let mut hello = Vec::new();
        session.write_tls(&mut hello).expect("memory takes everything");
        hello
    }

    /// The same client, whose records hold no more than so many bytes.
    #[must_use]
    pub fn in_fragments(mut self, bytes: usize) -> Self {
        // The library counts the header in.
        Arc::make_mut(&mut self.config).max_fragment_size = Some(bytes + 5);
        self
    }

    /// Connects, and sends every byte of the handshake by itself.
    #[track_caller]
    pub fn connect_by_bytes(&self, address: SocketAddr) -> Connection {
        let mut sock = TcpStream::connect_timeout(&address, PATIENCE).expect("the server accepts connections");
        sock.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        sock.set_nodelay(true).expect("TCP_NODELAY can be set");
        let name = ServerName::try_from(self.name.clone()).expect("a name is a name");
        let mut conn = ClientConnection::new(Arc::clone(&self.config), name).expect("a session can begin");
        while conn.is_handshaking() || conn.wants_write() {
            while conn.wants_write() {
                let mut bytes = Vec::new();
                conn.write_tls(&mut bytes).expect("memory takes everything");
                for byte in bytes {
                    sock.write_all(&[byte]).expect("the server takes the bytes");
                }
            }
            if conn.is_handshaking() {
                conn.read_tls(&mut sock).expect("the server answers");
                conn.process_new_packets().expect("the answer is right");
            }
        }
        Connection { stream: StreamOwned::new(conn, sock), received: Vec::new() }
    }

    /// The same; panics when there is no connection.
    #[track_caller]
    pub fn connect(&self, address: SocketAddr) -> Connection {
        self.try_connect(address).unwrap_or_else(|error| panic!("no TLS connection: {error}"))
    }

    /// GETs a path on a connection of its own.
    #[track_caller]
    pub fn get(&self, address: SocketAddr, path: &str) -> Response {
        let mut connection = self.connect(address);
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.name));
        connection.response()
    }

    /// The same; the error when handshake or request are refused. In TLS 1.3 a client learns that its certificate is
    /// not taken only with the first bytes it reads.
    pub fn try_get(&self, address: SocketAddr, path: &str) -> Result<Response, String> {
        let mut connection = self.try_connect(address).map_err(|error| error.to_string())?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.name);
        connection.stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        connection.try_response()
    }
}

/// How the server's side of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a notice.
    Notice,
    /// Without one, as if somebody had cut the line.
    Truncated,
    /// By a reset.
    Reset,
}

/// An encrypted connection.
pub struct Connection {
    /// The stream.
    pub stream: StreamOwned<ClientConnection, TcpStream>,
    /// Everything received and not yet taken.
    pub received: Vec<u8>,
}

impl Connection {
    /// Sends bytes; the connection must take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes the bytes");
        self.stream.flush().expect("the server takes the bytes");
    }

    fn read_some(&mut self) -> io::Result<usize> {
        let mut block = [0; 16384];
        let read = self.stream.read(&mut block)?;
        self.received.extend_from_slice(&block[..read]);
        Ok(read)
    }

    /// Waits for one complete response, and takes it.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response().unwrap_or_else(|problem| panic!("no complete response: {problem}"))
    }

    /// The same, with words instead of a panic.
    pub fn try_response(&mut self) -> Result<Response, String> {
        loop {
            if let Some((response, length)) = Response::parse(&self.received, "GET")?
                && response.complete
            {
                self.received.drain(..length);
                return Ok(response);
            }
            if self.read_some().map_err(|error| error.to_string())? == 0 {
                return Err("the stream ended".to_owned());
            }
        }
    }

    /// Waits until the received bytes contain some text.
    #[track_caller]
    pub fn read_until(&mut self, text: &str) {
        while !self.received.windows(text.len()).any(|window| window == text.as_bytes()) {
            let read = self.read_some().unwrap_or_else(|error| panic!("no {text:?}: {error}"));
            assert!(read > 0, "the stream ended before {text:?}");
        }
    }

    /// Reads to the end; the bytes stay in `received`.
    #[track_caller]
    pub fn read_to_end(&mut self) -> End {
        loop {
            match self.read_some() {
                Ok(0) => return End::Notice,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return End::Truncated,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return End::Reset,
                Err(error) => panic!("the connection stays open: {error}"),
            }
        }
    }

    /// Whether the session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The certificates the server has shown, or had shown when the session began.
    pub fn server_certificates(&self) -> &[CertificateDer<'static>] {
        self.stream.conn.peer_certificates().unwrap_or_default()
    }
}

/// The certificates in a PEM text.
pub fn der(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("PEM is PEM")
}
