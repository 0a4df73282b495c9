//! Environment variables: those meant for this process alone, and those it gives to its children.

/// Reads a variable and removes it, so that no process started later believes it is meant. Before any thread starts.
#[must_use]
pub fn take(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_some() {
        // SAFETY: called at the start of the command, while it has one thread: nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
    value
}

/// Sets a variable for this process and those it starts. Before any thread starts.
pub fn give(name: &str, value: &str) {
    // SAFETY: called at the start of the command, while it has one thread: nobody reads the environment meanwhile.
    unsafe { std::env::set_var(name, value) };
}
