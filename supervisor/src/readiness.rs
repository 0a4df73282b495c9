//! What happens once, when the first worker accepts connections.

use sd_notify::NotifyState;

use crate::daemon::Caller;

/// Whom to tell that the server is ready.
pub struct Readiness {
    /// The banner line.
    pub banner: String,
    /// The command waiting in the foreground, when going to the background.
    pub caller: Option<Caller>,
}

impl Readiness {
    /// Tells them. Returns whether the terminal was let go of.
    pub fn announce(self) -> bool {
        tracing::info!("{}", self.banner);
        // Not running under systemd is no error.
        let _ = sd_notify::notify(false, &[NotifyState::Ready]);
        let detached = self.caller.is_some();
        if let Some(caller) = self.caller {
            caller.release();
        }
        detached
    }
}

/// Tells systemd that the server goes down on purpose.
pub fn announce_stop() {
    let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
}
