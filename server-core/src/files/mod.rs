//! Files served natively: static folders, and files that an application names in its response.
//!
//! A request's path becomes the name of a file in [`url`], without touching the disk; [`root`] opens it beneath a
//! directory that cannot be left; [`locate`] finds the variant to send: an index, a compressed sibling, a listing.
//! [`conditions`] and [`ranges`] are RFC 9110's rules as pure functions, and [`answer`] makes the response of it all.
//! [`folder`] is the service that puts them together; [`delegate`] does it for files that applications name.
//!
//! Nothing here waits for a disk on the worker's thread: a name that is not in the kernel's cache is looked up by a
//! helper thread, and content goes the way of every file body ([`crate::outbound`]).

pub(crate) mod answer;
mod conditions;
pub mod delegate;
pub mod folder;
mod listing;
pub(crate) mod locate;
mod media;
mod ranges;
pub mod root;
pub(crate) mod url;
