//! `--reload`: a file of the application was saved. And what browsers are shown while the newest code cannot be loaded.

use std::path::Path;

use super::*;
use crate::messages::fitting;
use crate::peer::tell_all;

impl Master {
    /// Begins to watch, if that was asked for; what, the mold tells.
    pub(super) fn watch_sources(&mut self) {
        if !self.settings.processes.reload {
            return;
        }
        let notices = self.notices.clone();
        let saved = move |path| {
            let _ = notices.send(Notice::Saved(path));
        };
        match Watcher::start(saved) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => tracing::warn!("--reload does nothing: files cannot be watched: {error}"),
        }
    }

    pub(super) fn note_sources(&self, directories: &[PathBuf], files: &[PathBuf]) {
        if let Some(watcher) = &self.watcher {
            watcher.watch(directories, files);
        }
    }

    pub(super) fn saved(&mut self, path: &Path, now: Instant) {
        // One that has not begun to serve ends if it cannot; one that is replaced or stops loads nothing any more.
        if self.roster.stop == Stop::No && self.roster.ever_ready && matches!(self.standing, Standing::Incumbent) {
            tracing::info!("{} was saved", path.display());
            self.obey_signal(Verb::Reload, now);
        }
    }

    /// A reload that has ended decides what browsers see in development mode.
    pub(super) fn settle_trouble(&mut self) {
        let Some(verdict) = self.roster.verdicts.last().filter(|_| self.settings.shows_errors()) else { return };
        let trouble = verdict.clone().err().map(fitting);
        if trouble != self.trouble {
            tell_all(self.workers.values(), &ToWorker::Trouble(trouble.clone()));
            self.trouble = trouble;
        }
    }

    /// A worker that has taken the place of another must show the same.
    pub(super) fn tell_trouble(&self, id: WorkerId) {
        if let (Some(peer), Some(trouble), None) = (self.workers.get(&id), &self.trouble, &self.roster.reload) {
            log_failure(peer.tell(&ToWorker::Trouble(Some(trouble.clone())), None));
        }
    }
}
