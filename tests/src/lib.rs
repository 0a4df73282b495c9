//! Drives the real `pagi-server` binary from outside.
