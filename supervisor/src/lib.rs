//! The `pagi-server` and `pagictl` commands: who runs, who listens, who is replaced when.
//!
//! A command line becomes [`settings`]; [`server`] binds [`sockets`], takes care of PID file, privileges and going to
//! the background, and then either serves in the same process ([`single`]) or becomes the [`master`]. The master
//! starts a [`mold`], which loads the application and forks [`worker`]s on request. They talk in typed [`messages`]
//! over a [`channel`]; the master keeps its books in a [`roster`], and [`policy`], a pure function of the roster, says
//! what to do next. Workers share the [`store`]. What all processes see is the [`scoreboard`]; what the user sees of it comes through [`control`].
//!
//! `unsafe` is allowed in [`process`] alone.
#![deny(unsafe_code)]

pub mod address;
pub mod admin;
pub mod backlog;
pub mod backoff;
pub mod banner;
pub mod browser;
pub mod bundle;
pub mod cause;
pub mod channel;
pub mod check;
pub mod children;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod errand;
pub mod event;
pub mod exit;
pub mod handover;
pub mod heartbeat;
pub mod inherited;
pub mod init;
pub mod library;
pub mod log;
pub mod master;
pub mod memory;
pub mod messages;
pub mod mold;
pub mod origin;
pub mod peer;
pub mod pid_file;
pub mod policy;
pub mod privileges;
pub mod process;
pub mod queues;
pub mod readiness;
pub mod refresh;
pub mod reload;
pub mod report;
pub mod roster;
pub mod scoreboard;
pub mod server;
pub mod settings;
pub mod signals;
pub mod single;
pub mod sockets;
pub mod sources;
pub mod staff;
pub mod store;
pub mod systemd;
pub mod tls;
pub mod upgrade;
pub mod usage;
pub mod watcher;
pub mod worker;
