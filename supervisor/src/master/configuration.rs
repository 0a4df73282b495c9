//! The configuration file in a running server: read with each reload, kept when the reload succeeds.

use super::*;
use crate::refresh;

impl Master {
    /// The next generation is started with what the configuration file says now.
    pub(super) fn read_configuration(&mut self) -> Result<(), String> {
        if let Some(refreshed) = refresh::refresh(&self.settings)? {
            refreshed.log();
            self.previous = Some(std::mem::replace(&mut self.settings, refreshed.settings));
            self.patience = Patience::new(self.settings.processes.heartbeat_timeout, self.settings.startup_timeout);
        }
        Ok(())
    }

    /// A reload that has ended decides which configuration stays.
    pub(super) fn settle_configuration(&mut self) {
        let Some(verdict) = self.roster.verdicts.last() else { return };
        let Some(previous) = self.previous.take() else { return };
        let wanted = self.settings.processes.workers;
        match verdict {
            Ok(_) => {
                // The workers have it from the start.
                log::set_level(self.settings.log.level);
                if previous.processes.workers != wanted {
                    self.roster.request_scale(wanted);
                }
            }
            Err(_) => self.settings = previous,
        }
    }
}
