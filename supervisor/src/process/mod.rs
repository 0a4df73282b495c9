//! Everything that needs `unsafe`: making processes, handing descriptors over, shared memory, signal handlers and the
//! process title. The rest of the crate uses these as ordinary functions.
//!
//! * [`exec`] starts our own binary again with chosen descriptors (mold, and worker without preloading);
//! * [`fork`] makes a worker out of the mold, as a child of the master;
//! * [`descriptors`] receives and adopts file descriptors;
//! * [`environment`] takes variables that are for this process alone;
//! * [`shared`] maps memory that all processes see;
//! * [`tcp`] asks the kernel about a listening socket;
//! * [`signals`] turns signals into bytes of a socket;
//! * [`title`] is what `ps` shows.
#![allow(unsafe_code)]

pub mod descriptors;
pub mod environment;
pub mod exec;
pub mod fork;
pub mod shared;
pub mod signals;
pub mod tcp;
pub mod title;
