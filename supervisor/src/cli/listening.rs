//! Where to listen.

use std::path::PathBuf;

use clap::Args;

use super::value;
use crate::address::{Address, parse_port};

/// Where to listen.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub struct ListenOptions {
    /// Address to bind
    #[arg(short = 'o', long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub host: String,
    /// Port to bind; 0 = any free port
    #[arg(
        short = 'p',
        long,
        default_value = "5000",
        value_parser = parse_port,
        value_name = "PORT"
    )]
    pub port: u16,
    /// Unix socket to listen on instead of TCP
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Permissions of Unix sockets that have no mode= of their own [default: 0600]
    #[arg(long, value_parser = value::socket_mode, value_name = "0NNN")]
    pub socket_mode: Option<u32>,
    /// Addresses, which replace `host` and `port`.
    #[arg(
        long,
        help = "HOST:PORT, [IPV6]:PORT, a Unix socket as PATH, unix:PATH or unix:@NAME (abstract: no file), or fd:NAME or \
                fd:NUMBER for what systemd passes under that name; repeatable, replaces --host and --port. Behind it, with commas: \
                ssl (TLS is spoken there, and only at such addresses), proxy (each connection begins with a header of the \
                PROXY protocol, see --trusted-proxies), and for the file of a Unix socket mode=0660, owner=NAME, group=NAME",
        value_parser = Address::parse,
        value_name = "ADDRESS"
    )]
    pub listen: Vec<Address>,
    /// Length of the accept queues
    #[arg(short = 'b', long, default_value = "2048", value_parser = value::backlog, value_name = "N")]
    pub listener_backlog: i32,
    /// SO_REUSEPORT queues per TCP address; 1 = one queue shared by all workers [default: one per worker]
    #[arg(long, value_parser = value::queues, value_name = "N")]
    pub queues: Option<u16>,
    /// Give every worker a SO_REUSEPORT queue of its own (the default with several workers)
    #[arg(long, conflicts_with = "queues")]
    pub reuseport: bool,
}
