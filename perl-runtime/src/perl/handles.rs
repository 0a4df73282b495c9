//! `$receive`, `$send`, `pagi.connection` and `pagi.transport` of one call: four Perl values that share one number.

use std::ptr::NonNull;

use super::ffi::{self, HandleSet};

/// Our references to the four handles.
pub(crate) struct Handles(NonNull<HandleSet>);

impl Handles {
    pub(crate) fn new(call: usize) -> Self {
        // SAFETY: one thread; the shim never returns null.
        Self(NonNull::new(unsafe { ffi::pagi_handles_new(call) }).unwrap_or_else(|| std::process::abort()))
    }

    /// Makes recycled handles speak for another call.
    pub(crate) fn bind(&self, call: usize) {
        // SAFETY: one thread; the set lives as long as our references do.
        unsafe { ffi::pagi_handles_bind(self.0.as_ptr(), call) }
    }

    /// Whether the application has let go of all four.
    pub(crate) fn is_idle(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::pagi_handles_idle(self.0.as_ptr()) != 0 }
    }

    pub(super) fn as_ptr(&self) -> *mut HandleSet {
        self.0.as_ptr()
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        // SAFETY: one thread; this gives up the references that `new` made, once.
        unsafe { ffi::pagi_handles_release(self.0.as_ptr()) }
    }
}
