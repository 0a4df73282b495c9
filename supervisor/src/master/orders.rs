//! What users tell the master to do.

use super::*;
use crate::log::Level;
use crate::peer::tell_all;

impl Master {
    pub(super) fn obey(&mut self, order: Verb, answer: oneshot::Sender<Outcome>, now: Instant) {
        let refusal = match order {
            Verb::Stop | Verb::ReopenLogs | Verb::LogLevel { .. } => None,
            _ if self.roster.stop != Stop::No => Some("The server is stopping".to_owned()),
            _ if !self.roster.ever_ready => Some("The server is still starting; try again when it serves".to_owned()),
            Verb::Upgrade => None,
            _ if self.upgrading.is_some() => Some("An upgrade is under way; try again when it has ended".to_owned()),
            _ => None,
        };
        if let Some(sentence) = refusal {
            tracing::warn!("{} refused: {sentence}", order.path());
            let _ = answer.send(Outcome::Refused(sentence));
            return;
        }
        match order {
            Verb::Reload => {
                if let Err(reason) = self.read_configuration() {
                    let text = format!("Reload failed, the previous configuration serves on:\n{reason}");
                    tracing::error!("{text}");
                    let _ = answer.send(Outcome::Failed(text));
                    return;
                }
                self.errands.add_reload(answer, self.roster.reload.is_some());
                self.roster.request_reload(now);
                // Those who serve on have them sooner, and have them even if the application cannot be loaded.
                tell_all(self.workers.values(), &ToWorker::ReloadCertificates);
            }
            Verb::Refork => self.refork(answer, now),
            Verb::Restart { worker } => match self.roster.request_restart(worker) {
                ids if ids.is_empty() => {
                    let whom =
                        worker.map_or_else(|| "No worker serves".to_owned(), |num| format!("No worker {num} serves"));
                    let _ = answer.send(Outcome::Refused(format!("{whom} that could be replaced")));
                }
                ids => self.errands.add(Goal::Replaced(ids), answer),
            },
            Verb::Drain { worker } => match self.roster.request_restart(Some(worker)).first() {
                Some(&id) => self.errands.add(Goal::Drained(id), answer),
                None => {
                    let _ = answer.send(Outcome::Refused(format!("No worker {worker} serves that could be replaced")));
                }
            },
            Verb::Scale { workers } => {
                self.roster.request_scale(workers);
                self.errands.add(Goal::Staffed, answer);
            }
            Verb::Upgrade => self.upgrade(answer),
            Verb::ReopenLogs => {
                self.reopen_logs();
                let _ = answer.send(Outcome::Done("Log files are reopened".to_owned()));
            }
            Verb::LogLevel { level } => {
                self.set_log_level(level);
                let _ = answer.send(Outcome::Done(format!("Logging from level {} on", level.word())));
            }
            Verb::Stop => {
                if self.roster.stop == Stop::No {
                    self.stop(now);
                }
                let _ = answer.send(Outcome::Done("Stopping".to_owned()));
            }
        }
    }

    /// Lets the worker that has served most become the mold.
    fn refork(&mut self, answer: oneshot::Sender<Outcome>, now: Instant) {
        let refusal = match (self.roster.mold(), &self.roster.reload) {
            (_, Some(reload)) => {
                format!("A {} is under way; try again when it has ended", reload.name().to_lowercase())
            }
            (Mold::Unused, None) => "Every worker has loaded the application for itself (--no-preload)".to_owned(),
            (_, None) => match policy::ripe(&self.roster, &self.served(), 0) {
                Some(id) => {
                    self.errands.add_reload(answer, false);
                    return self.roster.request_refork(id, now);
                }
                None => "No worker serves that could become the mold".to_owned(),
            },
        };
        let _ = answer.send(Outcome::Refused(refusal));
    }

    /// In all processes, and in those to come.
    pub(super) fn set_log_level(&mut self, level: Level) {
        for settings in self.previous.iter_mut().chain([&mut self.settings]) {
            settings.log.level = level;
        }
        log::set_level(level);
        tell_all(self.workers.values(), &ToWorker::LogLevel(level));
        tell_all(self.molds.values().map(|mold| &mold.peer), &ToMold::LogLevel(level));
    }

    pub(super) fn reopen_logs(&self) {
        log::reopen();
        tell_all(self.workers.values(), &ToWorker::ReopenLogs);
        tracing::info!("Log files are reopened");
    }

    /// Stops, or stops faster.
    pub(super) fn stop(&mut self, now: Instant) {
        if self.roster.stop == Stop::No {
            self.abandon_upgrade();
            match self.standing {
                Standing::Incumbent => {
                    tracing::info!("Stopping");
                    systemd::announce_stop();
                    self.sockets.iter().for_each(Sockets::withdraw_files);
                }
                Standing::Candidate { .. } => {
                    tracing::info!("Stopping before the previous server was replaced");
                    self.decline("the new server was told to stop");
                }
                Standing::Retired => {}
            }
            // New connections are refused from now on instead of waiting for a server that goes away.
            self.sockets = None;
        }
        self.roster.apply(Event::StopRequested, now);
    }

    pub(super) fn take_signal(&mut self, request: Request) {
        let now = Instant::now();
        match request {
            Request::Stop => self.stop(now),
            Request::ReopenLogs => self.reopen_logs(),
            Request::Reload => self.obey_signal(Verb::Reload, now),
            Request::More => self.obey_signal(Verb::Scale { workers: self.roster.target.saturating_add(1) }, now),
            Request::Fewer if self.roster.target <= 1 => {
                tracing::warn!("Signal ignored: one worker is the least; stop the server with TERM");
            }
            Request::Fewer => self.obey_signal(Verb::Scale { workers: self.roster.target - 1 }, now),
            Request::Reap => self.reap(now),
            Request::Upgrade => self.obey_signal(Verb::Upgrade, now),
            Request::Nothing => {}
        }
    }

    /// As if asked through the control socket, but nobody waits for the outcome.
    pub(super) fn obey_signal(&mut self, order: Verb, now: Instant) {
        let (answer, _) = oneshot::channel();
        self.obey(order, answer, now);
    }
}
