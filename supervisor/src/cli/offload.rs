//! What the server does in the application's place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pagi_server_core::coding::Coding;
use pagi_server_core::compress::policy::CompressionOptions;
use pagi_server_core::files::delegate::DelegateOptions;
use pagi_server_core::files::folder::FolderOptions;
use pagi_server_core::offload::fields::FieldOptions;
use pagi_server_core::offload::rate::RateOptions;
use pagi_server_core::offload::request_id::{RequestIdOptions, Source};
use serde::{Deserialize, Serialize};

use super::{folder, value};

/// What the server does in the application's place; all of it is off unless it is asked for.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Offload")]
pub struct OffloadOptions {
    /// Static folders.
    #[arg(
        long = "static",
        help = "Serve the files of a directory under a path, without the application, repeatable. Behind it, each after a \
                comma: host=NAME, index=FILE, no-index, listing, fallthrough (what is not there is for the application), \
                no-precompressed (ignore FILE.br, FILE.zst and FILE.gz), max-age=SECONDS, immutable",
        value_parser = folder::parse,
        value_name = "PATH=DIR[,OPTION]..."
    )]
    pub folders: Vec<FolderOptions>,
    /// Directory whose files applications may name in an X-Sendfile field instead of sending them, repeatable
    #[arg(long, value_name = "DIR")]
    pub x_sendfile: Vec<PathBuf>,
    /// Path, and the directory below which its files are, that applications may name in an X-Accel-Redirect field instead
    /// of sending them, repeatable
    #[arg(long, value_parser = folder::location, value_name = "PATH=DIR")]
    pub x_accel_redirect: Vec<(String, PathBuf)>,
    /// Compress responses of applications for clients that take it: gzip, br and zstd, the preferred ones first
    #[arg(long, value_delimiter = ',', value_parser = value::coding, value_name = "CODING,...")]
    pub compress: Vec<Coding>,
    /// Smallest body in bytes that is compressed
    #[arg(long, default_value = "1024", value_parser = value::count::<usize>, value_name = "BYTES")]
    pub compress_min_size: usize,
    /// Effort of compression, 1 (fast) to 9 (small)
    #[arg(long, default_value = "4", value_parser = value::level, value_name = "LEVEL")]
    pub compress_level: u32,
    /// Media types to compress, text/* for all of a family, repeatable [default: text, and what is text in other families]
    #[arg(long, value_delimiter = ',', value_parser = value::media_type, value_name = "TYPE")]
    pub compress_types: Vec<String>,
    /// Name each request, in a field of request and response, in the scope and in the access log: off, generate, trusted
    /// (take over the names that --trusted-proxies give) or accept (those of all clients)
    #[arg(long, default_value = "off", value_parser = value::request_id, value_name = "MODE")]
    pub request_id: RequestId,
    /// The field with a request's name
    #[arg(long, default_value = "x-request-id", value_parser = value::field_name, value_name = "NAME")]
    pub request_id_header: String,
    /// Tell browsers what they should not do, in responses that do not say it themselves: X-Content-Type-Options,
    /// X-Frame-Options, Referrer-Policy, Cross-Origin-Opener-Policy
    #[arg(long)]
    pub security_headers: bool,
    /// Seconds for which browsers are to use TLS only (Strict-Transport-Security in encrypted responses); 0 = say nothing
    #[arg(long, default_value = "0", value_parser = value::count::<u64>, value_name = "SECONDS")]
    pub hsts: u64,
    /// Field for responses that do not have it, repeatable
    #[arg(long, value_parser = value::field, value_name = "NAME: VALUE")]
    pub response_header: Vec<(String, String)>,
    /// Requests that an address (IPv6: a /64) may make of each worker within some seconds, such as 100/60; more are
    /// answered 429
    #[arg(long, value_parser = value::rate, value_name = "REQUESTS/SECONDS")]
    pub rate_limit: Option<(u32, Duration)>,
    /// Addresses that a worker remembers for it; beyond it some are forgotten
    #[arg(long, default_value = "10000", value_parser = value::positive, value_name = "N")]
    pub rate_limit_clients: usize,
}

/// Whose names of requests are taken over; `None` is off.
pub type RequestId = Off<Source>;

/// A choice that may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Off<T> {
    /// Off.
    Off,
    /// On, like this.
    On(T),
}

impl OffloadOptions {
    /// The folders, with their directories relative to this one.
    #[must_use]
    pub fn folders(&self, directory: &Path) -> Vec<FolderOptions> {
        let anchored = |folder: &FolderOptions| {
            let mut folder = folder.clone();
            folder.directory = directory.join(folder.directory);
            folder
        };
        self.folders.iter().map(anchored).collect()
    }

    /// Compression of responses.
    #[must_use]
    pub fn compression(&self) -> CompressionOptions {
        CompressionOptions {
            codings: self.compress.clone(),
            min_size: self.compress_min_size,
            level: self.compress_level,
            types: self.compress_types.clone(),
        }
    }

    /// What applications may name, with directories relative to this one.
    #[must_use]
    pub fn delegate(&self, directory: &Path) -> DelegateOptions {
        let anchored = |(path, place): &(String, PathBuf)| (path.clone(), directory.join(place));
        DelegateOptions {
            directories: self.x_sendfile.iter().map(|place| directory.join(place)).collect(),
            locations: self.x_accel_redirect.iter().map(anchored).collect(),
        }
    }

    /// Names of requests.
    #[must_use]
    pub fn request_id(&self) -> Option<RequestIdOptions> {
        match self.request_id {
            Off::Off => None,
            Off::On(source) => Some(RequestIdOptions { source, header: self.request_id_header.clone() }),
        }
    }

    /// Fields that responses get.
    #[must_use]
    pub fn fields(&self) -> FieldOptions {
        FieldOptions {
            fields: self.response_header.clone(),
            security: self.security_headers,
            hsts: Some(self.hsts).filter(|&seconds| seconds > 0),
        }
    }

    /// How many requests a client may make.
    #[must_use]
    pub fn rate(&self) -> Option<RateOptions> {
        let clients = self.rate_limit_clients;
        self.rate_limit.map(|(requests, period)| RateOptions { requests, period, clients })
    }
}
