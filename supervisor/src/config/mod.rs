//! Where values of options come from: the configuration file, the environment, the command line, in rising precedence.
//!
//! Options are defined once, in [`crate::cli`]. [`key`] derives from that definition how an option is called in the
//! [`file`](mod@file) and in the environment; [`layers`] collects what both say, checks it value by value with the option's own parser
//! and makes it the default of the command line. [`origin`] remembers for each value who said it, and [`place`] says it in front
//! of what is found to be wrong with it later.

pub mod file;
pub mod key;
pub mod layers;
pub mod origin;
pub mod place;
mod table;
