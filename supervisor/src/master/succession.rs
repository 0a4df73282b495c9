//! Changing places: with a successor that this server starts, or with the predecessor that has started it.

use crate::handover::Scaled;
use crate::init;
use crate::roster::Beginning;
use crate::tls::Tls;
use crate::upgrade::{Attempt, Heir, NOT_IN_CONTAINER, report_failure};

use super::*;

/// An upgrade under way.
pub(super) struct Upgrading {
    pid: Pid,
    answer: oneshot::Sender<Outcome>,
    /// Dropped when the server stops, which ends the attempt.
    _abort: oneshot::Sender<()>,
}

/// Where this server stands between two others.
pub(super) enum Standing {
    /// It is the server.
    Incumbent,
    /// It is to replace another one, and owns nothing yet.
    Candidate {
        /// The other one has heard from us.
        told: bool,
    },
    /// Another one has taken its place; it only finishes what it has.
    Retired,
}

impl Master {
    /// Starts the installed binary as our successor.
    pub(super) fn upgrade(&mut self, answer: oneshot::Sender<Outcome>) {
        let refusal = match self.standing {
            Standing::Candidate { .. } => Some("This server has not taken the place of the previous one yet"),
            _ if init::is_end_of_container() => Some(NOT_IN_CONTAINER),
            _ if self.upgrading.is_some() => Some("An upgrade is under way"),
            _ if self.roster.reload.is_some() => Some("A reload is under way; try again when it has ended"),
            _ => None,
        };
        if let Some(sentence) = refusal {
            tracing::warn!("Upgrade refused: {sentence}");
            let _ = answer.send(Outcome::Refused(sentence.to_owned()));
            return;
        }
        let Some(sockets) = &self.sockets else { return };
        let (from, to) = (self.settings.processes.workers, self.roster.target);
        let scaled = (from != to).then_some(Scaled { from, to });
        let tickets = self.settings.tls.as_ref().and_then(Tls::tickets);
        let started = Attempt::start(&self.lineage.origin, sockets, &self.management, scaled, tickets.as_ref());
        let mut attempt = match started {
            Ok(attempt) => attempt,
            Err(reason) => return report_failure(answer, &reason),
        };
        let (abort, aborted) = oneshot::channel();
        self.upgrading = Some(Upgrading { pid: attempt.pid(), answer, _abort: abort });
        let (patience, notices) = (self.settings.upgrade_timeout(), self.notices.clone());
        tokio::task::spawn_local(async move {
            let outcome = attempt.outcome(patience, aborted).await;
            let _ = notices.send(Notice::Upgraded(attempt, outcome));
        });
    }

    /// The attempt has ended.
    pub(super) fn upgraded(&mut self, attempt: &Attempt, outcome: Result<Heir, String>, now: Instant) {
        // Gone when the server was told to stop meanwhile.
        let Some(Upgrading { answer, .. }) = self.upgrading.take() else {
            send(attempt.pid(), Signal::SIGTERM);
            return;
        };
        let heir = match outcome {
            Ok(heir) => heir,
            Err(reason) => return report_failure(answer, &reason),
        };
        self.management.release(&heir.kept);
        if let Some(sockets) = &mut self.sockets {
            sockets.release_files(&heir.kept);
        }
        systemd::announce_successor(attempt.pid().as_raw().unsigned_abs());
        attempt.hand_over();
        self.standing = Standing::Retired;
        self.bulletin.mute();
        let text = format!("pagi-server {} serves as process {}", heir.version, attempt.pid());
        self.handed_over = Some((answer, text));
        self.stop(now);
    }

    /// Says that the upgrade is done when nobody accepts here any more: whoever connects from then on meets the new
    /// server.
    pub(super) fn report_handover(&mut self) {
        let accepts = |worker: &Worker| !worker.draining && worker.stage < Stage::Hurrying;
        if self.handed_over.is_none() || self.roster.workers.values().any(accepts) {
            return;
        }
        if let Some((answer, text)) = self.handed_over.take() {
            tracing::info!("Upgraded: {text}; this one finishes its connections");
            let _ = answer.send(Outcome::Done(text));
        }
    }

    /// Ends an attempt because the server stops.
    pub(super) fn abandon_upgrade(&mut self) {
        if let Some(Upgrading { pid, answer, .. }) = self.upgrading.take() {
            // At once: this process may not live long enough to see its end.
            send(pid, Signal::SIGTERM);
            let _ = answer.send(Outcome::Failed("The server is stopping".to_owned()));
        }
    }

    /// As a successor: tells the old server how the beginning went, once that is known.
    pub(super) fn apply_for_succession(&mut self, now: Instant) {
        if !matches!(self.standing, Standing::Candidate { told: false }) {
            return;
        }
        match self.roster.beginning() {
            Beginning::UnderWay => {}
            Beginning::Failed(reason) => self.withdraw(&reason, now),
            Beginning::Done => {
                let Some(candidacy) = self.lineage.candidacy.clone() else { return };
                self.standing = Standing::Candidate { told: true };
                let files = self.sockets.iter().flat_map(Sockets::files);
                candidacy.ready(self.management.files().into_iter().chain(files).collect());
                let notices = self.notices.clone();
                tokio::task::spawn_local(async move {
                    candidacy.order().await;
                    let _ = notices.send(Notice::TakeOver);
                });
            }
        }
    }

    /// As a successor: gives up before anything was taken over.
    pub(super) fn withdraw(&mut self, reason: &str, now: Instant) {
        if self.decline(reason) && self.roster.stop == Stop::No {
            self.stop(now);
        }
    }

    /// Says that the old server is not replaced, unless it has been told something already.
    pub(super) fn decline(&mut self, reason: &str) -> bool {
        let Standing::Candidate { told: told @ false } = &mut self.standing else { return false };
        *told = true;
        if let Some(candidacy) = &self.lineage.candidacy {
            candidacy.fail(reason);
        }
        true
    }

    /// As a successor: everything is ours now.
    pub(super) fn take_over(&mut self) {
        if self.roster.stop != Stop::No {
            return;
        }
        self.standing = Standing::Incumbent;
        self.management.claim();
        if let Some(sockets) = &mut self.sockets {
            sockets.claim_files();
        }
        self.open_management();
        self.announce_readiness();
    }

    /// Answers questions from now on.
    pub(super) fn open_management(&mut self) {
        let notices = self.notices.clone();
        let opened = self.management.start(move |question| {
            let _ = notices.send(Notice::Asked(question));
        });
        if let Err(error) = opened {
            tracing::error!("The control socket or the admin listener cannot be served: {error}");
        }
    }
}
