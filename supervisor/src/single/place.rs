//! What a server without workers holds beside its worker: sockets and files, and its place, which it may have taken
//! from another server and may give to one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pagi_perl_runtime::Command;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::control::status::QueueStatus;
use crate::control::{Outcome, Question};
use crate::readiness::Readiness;
use crate::server::{Lineage, Management};
use crate::sockets::Sockets;
use crate::systemd::{self, Bulletin};
use crate::tls::Tls;
use crate::upgrade::{Attempt, Heir, NOT_IN_CONTAINER, report_failure};
use crate::{backlog, init};

/// Where this server stands between two others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Incumbent,
    Candidate,
    Retired,
}

type Respond = Rc<dyn Fn(Question)>;

/// See the module documentation. The worker's loop is never dropped and refers to this, so what has to be closed is
/// taken out.
pub(super) struct Place {
    sockets: RefCell<Option<Sockets>>,
    management: RefCell<Option<Management>>,
    readiness: RefCell<Option<Readiness>>,
    bulletin: RefCell<Bulletin>,
    lineage: Lineage,
    standing: Cell<Standing>,
    /// Answers questions, once we are the server.
    respond: RefCell<Option<Respond>>,
    /// Dropped when the server stops, which ends the attempt.
    upgrading: RefCell<Option<(Pid, oneshot::Sender<()>)>>,
    /// Whoever asked for the upgrade, and what to answer when it is complete.
    handed_over: RefCell<Option<(oneshot::Sender<Outcome>, String)>>,
    upgrade_timeout: Option<Duration>,
    tls: Option<Tls>,
    /// The worker takes connections.
    serving: Cell<bool>,
    stopping: Cell<bool>,
}

impl Place {
    pub(super) fn new(
        sockets: Sockets,
        management: Management,
        readiness: Readiness,
        lineage: Lineage,
        upgrade_timeout: Option<Duration>,
        tls: Option<Tls>,
    ) -> Rc<Self> {
        let standing = if lineage.candidacy.is_some() { Standing::Candidate } else { Standing::Incumbent };
        Rc::new(Self {
            sockets: RefCell::new(Some(sockets)),
            management: RefCell::new(Some(management)),
            readiness: RefCell::new(Some(readiness)),
            bulletin: RefCell::default(),
            lineage,
            standing: Cell::new(standing),
            respond: RefCell::default(),
            upgrading: RefCell::default(),
            handed_over: RefCell::default(),
            upgrade_timeout,
            tls,
            serving: Cell::new(false),
            stopping: Cell::new(false),
        })
    }

    /// Answers questions like this as soon as the place is ours; inside the worker's runtime.
    pub(super) fn open(self: &Rc<Self>, respond: impl Fn(Question) + 'static) {
        *self.respond.borrow_mut() = Some(Rc::new(respond));
        match self.standing.get() {
            Standing::Incumbent => self.open_management(),
            Standing::Candidate => {
                let place = Rc::clone(self);
                tokio::task::spawn_local(async move {
                    let Some(candidacy) = place.lineage.candidacy.clone() else { return };
                    candidacy.order().await;
                    place.take_over();
                });
            }
            Standing::Retired => {}
        }
    }

    fn open_management(&self) {
        let Some(respond) = self.respond.borrow().clone() else { return };
        if let Some(management) = &mut *self.management.borrow_mut()
            && let Err(error) = management.start(move |question| respond(question))
        {
            tracing::warn!("The control socket or the admin listener cannot be served: {error}");
        }
    }

    /// How long the accept queues are.
    pub(super) fn queues(&self) -> Vec<QueueStatus> {
        self.sockets.borrow().as_ref().map(backlog::of).unwrap_or_default()
    }

    /// Whether no other server has the place.
    pub(super) fn is_ours(&self) -> bool {
        self.standing.get() == Standing::Incumbent
    }

    /// The worker takes connections.
    pub(super) fn ready(&self) {
        self.serving.set(true);
        match &self.lineage.candidacy {
            Some(candidacy) if self.standing.get() == Standing::Candidate => {
                let mut files: Vec<_> = self.management.borrow().iter().flat_map(Management::files).collect();
                files.extend(self.sockets.borrow().iter().flat_map(Sockets::files));
                candidacy.ready(files);
            }
            _ => self.announce(),
        }
    }

    fn announce(&self) {
        if let Some(readiness) = self.readiness.take() {
            if let Some(sockets) = &mut *self.sockets.borrow_mut() {
                sockets.leave_to_manager();
            }
            readiness.announce(&mut self.bulletin.borrow_mut());
        }
    }

    fn take_over(&self) {
        if self.stopping.get() {
            return;
        }
        self.standing.set(Standing::Incumbent);
        if let Some(management) = &mut *self.management.borrow_mut() {
            management.claim();
        }
        if let Some(sockets) = &mut *self.sockets.borrow_mut() {
            sockets.claim_files();
        }
        self.open_management();
        // Unless the other server is gone before this one is ready.
        if self.serving.get() {
            self.announce();
        }
    }

    /// Starts the installed binary as our successor; inside the worker's runtime.
    pub(super) fn upgrade(self: &Rc<Self>, answer: oneshot::Sender<Outcome>, commands: &UnboundedSender<Command>) {
        let refusal = match self.standing.get() {
            _ if self.stopping.get() => Some("The server is stopping"),
            _ if init::is_end_of_container() => Some(NOT_IN_CONTAINER),
            Standing::Candidate => Some("This server has not taken the place of the previous one yet"),
            _ if self.upgrading.borrow().is_some() => Some("An upgrade is under way"),
            _ => None,
        };
        if let Some(sentence) = refusal {
            tracing::warn!("Upgrade refused: {sentence}");
            let _ = answer.send(Outcome::Refused(sentence.to_owned()));
            return;
        }
        let attempt = match (&*self.sockets.borrow(), &*self.management.borrow()) {
            (Some(sockets), Some(management)) => {
                let tickets = self.tls.as_ref().and_then(Tls::tickets);
                Attempt::start(&self.lineage.origin, sockets, management, None, tickets.as_ref())
            }
            _ => Err("the server is stopping".to_owned()),
        };
        let mut attempt = match attempt {
            Ok(attempt) => attempt,
            Err(reason) => return report_failure(answer, &reason),
        };
        let (abort, aborted) = oneshot::channel();
        *self.upgrading.borrow_mut() = Some((attempt.pid(), abort));
        let (place, commands) = (Rc::clone(self), commands.clone());
        tokio::task::spawn_local(async move {
            let outcome = attempt.outcome(place.upgrade_timeout, aborted).await;
            place.upgrading.take();
            match outcome {
                Ok(heir) => place.retire(&attempt, &heir, answer, &commands),
                Err(reason) => {
                    report_failure(answer, &reason);
                    // Children are the application's business, this one is ours.
                    attempt.collect().await;
                }
            }
        });
    }

    fn retire(
        &self,
        attempt: &Attempt,
        heir: &Heir,
        answer: oneshot::Sender<Outcome>,
        commands: &UnboundedSender<Command>,
    ) {
        if let Some(management) = &mut *self.management.borrow_mut() {
            management.release(&heir.kept);
        }
        if let Some(sockets) = &mut *self.sockets.borrow_mut() {
            sockets.release_files(&heir.kept);
        }
        systemd::announce_successor(attempt.pid().as_raw().unsigned_abs());
        attempt.hand_over();
        self.standing.set(Standing::Retired);
        self.bulletin.borrow_mut().mute();
        let text = format!("pagi-server {} serves as process {}", heir.version, attempt.pid());
        *self.handed_over.borrow_mut() = Some((answer, text));
        let _ = commands.send(Command::Stop);
    }

    /// The worker begins to finish its connections.
    pub(super) fn stop(&self, connections: u64) {
        if self.stopping.replace(true) {
            return;
        }
        if let Some((successor, _abort)) = self.upgrading.take() {
            // At once: this process may not live long enough to see its end. An error means that it has ended.
            let _ = kill(successor, Signal::SIGTERM);
        }
        if let Some((answer, text)) = self.handed_over.take() {
            // Nothing is accepted here any more: whoever connects from now on meets the new server.
            tracing::info!("Upgraded: {text}; this one finishes {connections} connections");
            let _ = answer.send(Outcome::Done(text));
        } else {
            tracing::info!("Stopping; {connections} connections are open");
        }
        if self.is_ours() {
            systemd::announce_stop();
            self.sockets.borrow().iter().for_each(Sockets::withdraw_files);
        }
        self.sockets.borrow_mut().take();
    }

    /// Removes what was made for this server and is still its own.
    pub(super) fn leave(&self) {
        self.sockets.borrow_mut().take();
        self.management.borrow_mut().take();
    }
}
