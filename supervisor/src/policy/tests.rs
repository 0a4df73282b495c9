use super::*;
use crate::backoff;
use crate::event::{Ending, Event};

const LIMITS: Limits = Limits { shutdown: Duration::from_secs(30) };

/// A server that is driven by its own plans: what the policy says is recorded at once, as the master does.
struct Bench {
    roster: Roster,
    now: Instant,
    slots: usize,
}

impl Bench {
    fn new(workers: u32, preload: bool) -> Self {
        let now = Instant::now();
        Self { roster: Roster::new(workers, preload, now), now, slots: 0 }
    }

    /// A server whose workers are all ready.
    fn serving(workers: u32) -> Self {
        let mut bench = Self::new(workers, true);
        bench.step();
        bench.event(Event::MoldReady { generation: 1 });
        bench.step();
        for id in bench.ids() {
            bench.make_ready(id);
        }
        assert_eq!(bench.step(), []);
        bench
    }

    fn step(&mut self) -> Vec<Action> {
        let plan = plan(&self.roster, LIMITS, self.now);
        for action in &plan.actions {
            match action {
                Action::StartMold { generation } => self.roster.note_mold_started(*generation),
                Action::Spawn { num } => {
                    self.slots += 1;
                    self.roster.note_requested(*num, self.slots, self.now);
                }
                Action::Stop(id) => self.roster.note_told(*id, Stage::Stopping, self.now),
                Action::Hurry(id) => self.roster.note_told(*id, Stage::Hurrying, self.now),
                Action::Kill(id, _) => self.roster.note_told(*id, Stage::Killed, self.now),
                Action::DismissMold { generation } => self.roster.note_mold_leaving(*generation),
                Action::Finish(_) => {}
            }
        }
        plan.actions
    }

    fn event(&mut self, event: Event) {
        self.roster.apply(event, self.now);
    }

    fn make_ready(&mut self, id: WorkerId) {
        let pid = 1000 + i32::try_from(id.0).unwrap();
        self.event(Event::WorkerSpawned { id, pid });
        self.event(Event::WorkerStarted { id });
        self.event(Event::WorkerReady { id });
    }

    fn exit(&mut self, id: WorkerId, ending: Ending) {
        self.event(Event::WorkerExited { id, ending });
    }

    fn ids(&self) -> Vec<WorkerId> {
        self.roster.workers.keys().copied().collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn wake_at(&self) -> Option<Instant> {
        plan(&self.roster, LIMITS, self.now).wake_at
    }
}

#[test]
fn the_mold_comes_first() {
    let mut bench = Bench::new(3, true);
    assert_eq!(bench.step(), [Action::StartMold { generation: 1 }]);
    assert_eq!(bench.step(), [], "nothing to do while it loads");
    bench.event(Event::MoldReady { generation: 1 });
    assert_eq!(bench.step(), [1, 2, 3].map(|num| Action::Spawn { num }));
    assert_eq!(bench.step(), []);
}

#[test]
fn without_preloading_workers_come_at_once() {
    let mut bench = Bench::new(2, false);
    assert_eq!(bench.step(), [1, 2].map(|num| Action::Spawn { num }));
}

#[test]
fn a_crashed_worker_is_replaced_at_once_and_then_with_patience() {
    let mut bench = Bench::serving(2);
    let victim = bench.ids()[1];
    bench.exit(victim, Ending::Killed(9));
    assert_eq!(bench.step(), [Action::Spawn { num: 2 }]);
    let next = bench.ids()[1];
    bench.exit(next, Ending::Killed(9));
    assert_eq!(bench.step(), [], "not immediately again");
    let due = bench.now + backoff::delay(2);
    assert_eq!(bench.wake_at(), Some(due));
    bench.pass(backoff::delay(2));
    assert_eq!(bench.step(), [Action::Spawn { num: 2 }]);
}

#[test]
fn a_replacement_is_ready_before_the_old_worker_stops() {
    let mut bench = Bench::serving(2);
    let old = bench.ids()[0];
    bench.event(Event::WorkerWantsReplacement { id: old });
    assert_eq!(bench.step(), [Action::Spawn { num: 1 }]);
    assert_eq!(bench.step(), [], "the old one serves on");
    let new = *bench.ids().last().unwrap();
    bench.make_ready(new);
    assert_eq!(bench.step(), [Action::Stop(old)]);
    bench.exit(old, Ending::Exited(0));
    assert_eq!(bench.step(), []);
    assert_eq!(bench.roster.holders(1), 1);
}

#[test]
fn an_old_worker_serves_on_while_its_replacement_fails() {
    let mut bench = Bench::serving(1);
    let old = bench.ids()[0];
    bench.event(Event::WorkerWantsReplacement { id: old });
    bench.step();
    let new = *bench.ids().last().unwrap();
    bench.exit(new, Ending::Exited(2));
    assert_eq!(bench.step(), [Action::Spawn { num: 1 }], "the first failure is repeated at once");
    let newer = *bench.ids().last().unwrap();
    bench.exit(newer, Ending::Exited(2));
    assert_eq!(bench.step(), []);
    assert_eq!(bench.ids(), [old]);
    assert_eq!(bench.roster.workers[&old].stage, Stage::Ready);
}

#[test]
fn a_wedged_worker_is_killed_once_and_replaced_when_gone() {
    let mut bench = Bench::serving(2);
    let wedged = bench.ids()[0];
    bench.event(Event::HeartbeatLost { id: wedged });
    let first = bench.step();
    assert!(first.contains(&Action::Kill(wedged, Grounds::NoHeartbeat)), "{first:?}");
    bench.event(Event::HeartbeatLost { id: wedged });
    assert!(!bench.step().contains(&Action::Kill(wedged, Grounds::NoHeartbeat)));
    bench.exit(wedged, Ending::Killed(9));
    bench.step();
    assert_eq!(bench.roster.holders(1), 1);
}

#[test]
fn a_stop_is_bounded() {
    let mut bench = Bench::serving(2);
    let ids = bench.ids();
    bench.event(Event::StopRequested);
    let dismissed = Action::DismissMold { generation: 1 };
    assert_eq!(bench.step(), [dismissed, Action::Stop(ids[0]), Action::Stop(ids[1])]);
    assert_eq!(bench.step(), []);
    assert_eq!(bench.wake_at(), Some(bench.now + LIMITS.shutdown + MARGIN));
    bench.exit(ids[0], Ending::Exited(0));
    bench.event(Event::MoldExited { generation: 1, ending: Ending::Killed(9) });
    bench.pass(LIMITS.shutdown + MARGIN);
    assert_eq!(bench.step(), [Action::Kill(ids[1], Grounds::TooSlow)]);
    bench.exit(ids[1], Ending::Killed(9));
    assert_eq!(bench.step(), [Action::Finish(Outcome::Stopped)]);
}

#[test]
fn a_stop_waits_for_the_mold_too() {
    let mut bench = Bench::serving(1);
    let id = bench.ids()[0];
    bench.event(Event::StopRequested);
    bench.step();
    bench.exit(id, Ending::Exited(0));
    assert_eq!(bench.step(), []);
    bench.event(Event::MoldExited { generation: 1, ending: Ending::Killed(9) });
    assert_eq!(bench.step(), [Action::Finish(Outcome::Stopped)]);
}

#[test]
fn further_signals_hurry() {
    let mut bench = Bench::serving(1);
    let id = bench.ids()[0];
    bench.event(Event::StopRequested);
    bench.step();
    bench.event(Event::StopRequested);
    assert_eq!(bench.step(), [Action::Hurry(id)]);
    assert_eq!(bench.wake_at(), Some(bench.now + HURRY));
    bench.event(Event::StopRequested);
    assert_eq!(bench.step(), [Action::Kill(id, Grounds::TooSlow)]);
    assert_eq!(bench.step(), []);
}

#[test]
fn a_stop_during_start_up_waits_for_nobody_unborn() {
    let mut bench = Bench::new(1, true);
    bench.step();
    bench.event(Event::MoldReady { generation: 1 });
    bench.step();
    bench.event(Event::StopRequested);
    assert_eq!(bench.step(), [Action::DismissMold { generation: 1 }], "the worker has no process yet");
    bench.event(Event::MoldExited { generation: 1, ending: Ending::Killed(9) });
    assert_eq!(bench.step(), [Action::Finish(Outcome::Stopped)]);
}

#[test]
fn a_stop_does_not_wait_for_a_worker_that_loads() {
    let mut bench = Bench::new(1, false);
    bench.step();
    let id = bench.ids()[0];
    bench.event(Event::WorkerSpawned { id, pid: 7 });
    bench.event(Event::StopRequested);
    assert_eq!(bench.step(), [Action::Kill(id, Grounds::Unneeded)]);
    bench.exit(id, Ending::Killed(9));
    assert_eq!(bench.step(), [Action::Finish(Outcome::Stopped)]);
}

#[test]
fn an_application_that_does_not_load_ends_the_server() {
    let mut bench = Bench::new(4, true);
    bench.step();
    bench.event(Event::MoldFailed { generation: 1, message: "no such file".to_owned() });
    assert_eq!(bench.step(), [], "its process is still there");
    bench.event(Event::MoldExited { generation: 1, ending: Ending::Exited(1) });
    assert_eq!(bench.step(), [Action::Finish(Outcome::LoadFailed("no such file".to_owned()))]);
}

#[test]
fn failing_everywhere_ends_the_server_failing_somewhere_does_not() {
    let mut bench = Bench::new(2, true);
    bench.step();
    bench.event(Event::MoldReady { generation: 1 });
    bench.step();
    let ids = bench.ids();
    bench.exit(ids[0], Ending::Exited(2));
    assert_eq!(bench.step(), []);
    let mut lucky = Bench { roster: bench.roster.clone(), now: bench.now, slots: bench.slots };
    bench.exit(ids[1], Ending::Exited(2));
    assert_eq!(bench.step(), [Action::Finish(Outcome::NoWorkerStarted)]);
    lucky.make_ready(ids[1]);
    assert_eq!(lucky.step(), [Action::Spawn { num: 1 }], "worth another attempt now");
}

#[test]
fn a_lost_mold_is_replaced_without_touching_workers() {
    let mut bench = Bench::serving(2);
    let before = bench.ids();
    bench.event(Event::MoldExited { generation: 1, ending: Ending::Killed(9) });
    assert_eq!(bench.step(), [Action::StartMold { generation: 1 }]);
    bench.event(Event::MoldFailed { generation: 1, message: "broken meanwhile".to_owned() });
    bench.event(Event::MoldExited { generation: 1, ending: Ending::Exited(1) });
    assert_eq!(bench.step(), []);
    assert_eq!(bench.wake_at(), Some(bench.now + backoff::delay(2)));
    assert_eq!(bench.ids(), before);
}

#[test]
fn a_worker_that_leaves_by_itself_is_replaced_while_it_finishes() {
    let mut bench = Bench::serving(2);
    let leaving = bench.ids()[0];
    bench.event(Event::WorkerDraining { id: leaving, connections: 1 });
    assert_eq!(bench.step(), [Action::Spawn { num: 1 }]);
    bench.pass(LIMITS.shutdown + MARGIN);
    assert!(bench.step().contains(&Action::Kill(leaving, Grounds::TooSlow)));
}
