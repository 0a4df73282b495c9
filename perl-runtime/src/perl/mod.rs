//! The libperl binding: the only place in this crate with unsafe code.
//!
//! [`ffi`] declares the functions of `shim/bridge.c`; [`value`], [`event`], [`future`], [`handles`] and [`interpreter`]
//! wrap them in types that cannot be misused from safe code; [`callbacks`] is what Perl calls. Two invariants hold all
//! of it up, and every `SAFETY:` comment refers to one of them:
//!
//! * **one thread**: none of these types is `Send`, and they can only be made by [`interpreter::Interpreter`], which is
//!   started once, on the worker's thread;
//! * **no longjmp**: the shim enters Perl only through its guarded call, so a call returns whatever Perl does.
#![allow(unsafe_code)]

pub(crate) mod callbacks;
pub(crate) mod descriptor;
pub(crate) mod event;
mod ffi;
pub(crate) mod future;
pub(crate) mod handles;
pub(crate) mod interpreter;
pub(crate) mod scope;
pub(crate) mod slow;
pub(crate) mod stack;
pub(crate) mod stderr;
pub(crate) mod value;
