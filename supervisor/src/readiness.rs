//! What happens once, when the first worker accepts connections.

use crate::browser;
use crate::daemon::Caller;
use crate::systemd::Bulletin;

/// Whom to tell that the server is ready.
pub struct Readiness {
    /// The banner line.
    pub banner: String,
    /// The command waiting in the foreground, when going to the background.
    pub caller: Option<Caller>,
    /// What to open in a browser (`--open`).
    pub page: Option<String>,
}

impl Readiness {
    /// Tells them. Returns whether the terminal was let go of.
    pub fn announce(self, bulletin: &mut Bulletin) -> bool {
        tracing::info!("{}", self.banner);
        bulletin.ready();
        if let Some(page) = &self.page {
            browser::open(page);
        }
        let detached = self.caller.is_some();
        if let Some(caller) = self.caller {
            caller.release();
        }
        detached
    }
}
