//! Running as a service.

use std::path::PathBuf;

use clap::Args;

use super::value;
use crate::address::Address;

/// Running as a service.
#[derive(Debug, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceOptions {
    /// Configuration file, such as /etc/pagi/pagi.toml [default: none]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Run in the background; returns when the server is ready or has failed
    #[arg(short = 'D', long)]
    pub daemonize: bool,
    /// File to hold the process id
    #[arg(long, value_name = "FILE")]
    pub pid: Option<PathBuf>,
    /// User to become after binding (needs root)
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Group to become after binding (needs root) [default: the user's]
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Serve as root in production or in the background, which is refused otherwise, except in a container
    #[arg(long)]
    pub allow_root: bool,
    /// Control socket for pagictl [default: control.sock in $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/pagi, /run/pagi or
    /// /tmp/pagi-UID]
    #[arg(long, value_parser = value::control_socket, value_name = "PATH")]
    pub control_socket: Option<PathBuf>,
    /// Group whose members may use the control socket [default: the server's]
    #[arg(long, value_name = "NAME")]
    pub control_group: Option<String>,
    /// Where monitoring is answered.
    #[arg(
        long,
        help = "HOST:PORT, [IPV6]:PORT, Unix socket or unix:@NAME where /metrics, /healthz, /readyz and /status.json are answered, without asking who asks [default: nowhere]",
        value_parser = Address::parse_plain,
        value_name = "ADDRESS"
    )]
    pub admin_listen: Option<Address>,
}
