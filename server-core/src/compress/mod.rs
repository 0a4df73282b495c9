//! Compression of responses on their way out: [`policy`] says which, [`encoder`] does it. The exchange holds a response's
//! head until its first body event, because only that tells whether there is enough to compress.

pub(crate) mod encoder;
pub mod policy;
