use super::*;
use crate::backoff;
use crate::event::{Ending, Event};

mod refork;

const LIMITS: Limits = Limits {
    shutdown: Duration::from_secs(30),
    startup: Some(Duration::from_secs(10)),
    load: Some(Duration::from_secs(60)),
    age: None,
    batch: 1,
};

/// A server that is driven by its own plans: what the policy says is recorded at once, as the master does.
struct Bench {
    roster: Roster,
    now: Instant,
    slots: usize,
    limits: Limits,
}

impl Bench {
    fn new(workers: u32, preload: bool) -> Self {
        let now = Instant::now();
        Self { roster: Roster::new(workers, preload, now), now, slots: 0, limits: LIMITS }
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
        let plan = plan(&self.roster, self.limits, self.now);
        for action in &plan.actions {
            match action {
                Action::StartMold { generation } => self.roster.note_mold_started(*generation),
                Action::Spawn { num, generation } => {
                    self.slots += 1;
                    self.roster.note_requested(*num, *generation, self.slots, self.now);
                }
                Action::Deal { workers } => self.roster.note_dealt(*workers),
                Action::Retire(id, cause) => self.roster.note_retiring(*id, *cause),
                Action::Interrogate(id) => self.roster.note_questioned(*id, self.now),
                Action::FinishReload => self.roster.note_reloaded(self.now),
                Action::RollBack(reason) => self.roster.roll_back(reason.clone(), self.now),
                Action::Promote { id, .. } => self.roster.note_told(*id, Stage::Stopping, self.now),
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
        plan(&self.roster, self.limits, self.now).wake_at
    }
}

#[test]
fn the_mold_comes_first() {
    let mut bench = Bench::new(3, true);
    assert_eq!(bench.step(), [Action::StartMold { generation: 1 }]);
    assert_eq!(bench.step(), [], "nothing to do while it loads");
    bench.event(Event::MoldReady { generation: 1 });
    assert_eq!(bench.step(), [1, 2, 3].map(|num| Action::Spawn { num, generation: 1 }));
    assert_eq!(bench.step(), []);
}

#[test]
fn without_preloading_workers_come_at_once() {
    let mut bench = Bench::new(2, false);
    assert_eq!(bench.step(), [1, 2].map(|num| Action::Spawn { num, generation: 1 }));
}

#[test]
fn a_crashed_worker_is_replaced_at_once_and_then_with_patience() {
    let mut bench = Bench::serving(2);
    let victim = bench.ids()[1];
    bench.exit(victim, Ending::Killed(9));
    assert_eq!(bench.step(), [Action::Spawn { num: 2, generation: 1 }]);
    let next = bench.ids()[1];
    bench.exit(next, Ending::Killed(9));
    assert_eq!(bench.step(), [], "not immediately again");
    let due = bench.now + backoff::delay(2);
    assert_eq!(bench.wake_at(), Some(due));
    bench.pass(backoff::delay(2));
    assert_eq!(bench.step(), [Action::Spawn { num: 2, generation: 1 }]);
}

#[test]
fn a_replacement_is_ready_before_the_old_worker_stops() {
    let mut bench = Bench::serving(2);
    let old = bench.ids()[0];
    bench.event(Event::WorkerWantsReplacement { id: old });
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 1 }]);
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
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 1 }], "the first failure is repeated at once");
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
    assert_eq!(bench.step(), [Action::Interrogate(wedged)], "first it has to say where it is stuck");
    assert_eq!(bench.step(), []);
    bench.pass(TESTIMONY);
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

/// A server with one worker that was asked to stop while the mold was forking that worker.
fn stopped_while_forking() -> Bench {
    let mut bench = Bench::new(1, true);
    bench.step();
    bench.event(Event::MoldReady { generation: 1 });
    bench.step();
    bench.event(Event::StopRequested);
    assert_eq!(bench.step(), [], "the mold has not said whose process it is");
    bench
}

#[test]
fn a_stop_waits_for_the_mold_to_answer_a_fork() {
    let mut bench = stopped_while_forking();
    let id = bench.ids()[0];
    bench.event(Event::WorkerSpawned { id, pid: 7 });
    let actions = bench.step();
    assert_eq!(actions, [Action::DismissMold { generation: 1 }, Action::Kill(id, Grounds::Unneeded)]);
}

#[test]
fn a_stop_during_start_up_does_not_wait_for_ever_for_the_unborn() {
    let mut bench = stopped_while_forking();
    assert_eq!(bench.wake_at(), Some(bench.now + FORK_ANSWER));
    bench.now += FORK_ANSWER;
    assert_eq!(bench.step(), [Action::DismissMold { generation: 1 }]);
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
fn pool_processes_alone_keep_no_server_alive() {
    let mut bench = Bench::new(1, true);
    bench.roster.pool = 1;
    bench.step();
    bench.event(Event::MoldReady { generation: 1 });
    bench.step();
    let (pool, workers): (Vec<WorkerId>, Vec<WorkerId>) =
        bench.ids().into_iter().partition(|id| staff::is_pool(bench.roster.workers[id].num));
    bench.make_ready(pool[0]);
    assert_eq!(bench.step(), []);
    bench.exit(workers[0], Ending::Exited(2));
    assert_eq!(bench.step(), [Action::Finish(Outcome::NoWorkerStarted)]);
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
    let mut lucky = Bench { roster: bench.roster.clone(), now: bench.now, slots: bench.slots, limits: LIMITS };
    bench.exit(ids[1], Ending::Exited(2));
    assert_eq!(bench.step(), [Action::Finish(Outcome::NoWorkerStarted)]);
    lucky.make_ready(ids[1]);
    assert_eq!(lucky.step(), [Action::Spawn { num: 1, generation: 1 }], "worth another attempt now");
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
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 1 }]);
    bench.pass(LIMITS.shutdown + MARGIN);
    assert!(bench.step().contains(&Action::Kill(leaving, Grounds::TooSlow)));
}

/// Takes a bench to the point where the trial worker of generation 2 is asked for, and returns its id.
fn try_new_code(bench: &mut Bench) -> WorkerId {
    bench.roster.request_reload(bench.now);
    assert_eq!(bench.step(), [Action::StartMold { generation: 2 }]);
    assert_eq!(bench.step(), [], "the old code serves meanwhile");
    bench.event(Event::MoldReady { generation: 2 });
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 2 }]);
    assert_eq!(bench.step(), []);
    *bench.ids().last().unwrap()
}

#[test]
fn a_reload_tries_one_worker_and_then_replaces_one_after_the_other() {
    let mut bench = Bench::serving(3);
    let old = bench.ids();
    let trial = try_new_code(&mut bench);
    bench.make_ready(trial);
    assert_eq!(bench.step(), [Action::Retire(old[0], Cause::Reload)]);
    assert_eq!(bench.step(), [Action::Stop(old[0])]);
    assert_eq!(bench.step(), [Action::Retire(old[1], Cause::Reload)], "its drain is not waited for");
    assert_eq!(bench.step(), [Action::Spawn { num: 2, generation: 2 }]);
    assert_eq!(bench.step(), [], "the old one serves until the new one does");
    let second = *bench.ids().last().unwrap();
    bench.make_ready(second);
    assert_eq!(bench.step(), [Action::Stop(old[1])]);
    assert_eq!(bench.step(), [Action::Retire(old[2], Cause::Reload)]);
    assert_eq!(bench.step(), [Action::Spawn { num: 3, generation: 2 }]);
    let third = *bench.ids().last().unwrap();
    bench.make_ready(third);
    assert_eq!(bench.step(), [Action::Stop(old[2])]);
    bench.event(Event::WorkerDraining { id: old[0], connections: 1 });
    bench.event(Event::WorkerDraining { id: old[1], connections: 1 });
    assert_eq!(bench.step(), [], "the last one may still accept a connection");
    bench.event(Event::WorkerDraining { id: old[2], connections: 1 });
    assert_eq!(bench.step(), [Action::FinishReload]);
    assert_eq!(bench.roster.verdicts, [Ok(2)]);
    assert_eq!(bench.step(), [Action::DismissMold { generation: 1 }]);
    bench.event(Event::MoldExited { generation: 1, ending: Ending::Killed(9) });
    for id in old {
        bench.exit(id, Ending::Exited(0));
    }
    assert_eq!(bench.step(), []);
    assert_eq!(bench.roster.restarts[&Cause::Reload], 3);
    assert_eq!(bench.roster.generations.keys().collect::<Vec<_>>(), [&2]);
}

#[test]
fn a_batch_is_replaced_at_a_time() {
    let mut bench = Bench::serving(4);
    bench.limits.batch = 3;
    let old = bench.ids();
    let trial = try_new_code(&mut bench);
    bench.make_ready(trial);
    assert_eq!(bench.step(), [0, 1, 2].map(|index| Action::Retire(old[index], Cause::Reload)));
    let spawn = |num| Action::Spawn { num, generation: 2 };
    assert_eq!(bench.step(), [spawn(2), spawn(3), Action::Stop(old[0])]);
    assert_eq!(bench.step(), [Action::Retire(old[3], Cause::Reload)]);
}

#[test]
fn code_that_does_not_load_changes_nothing() {
    let mut bench = Bench::serving(2);
    let before = bench.ids();
    bench.roster.request_reload(bench.now);
    bench.step();
    bench.event(Event::MoldFailed { generation: 2, message: "syntax error".to_owned() });
    assert_eq!(bench.roster.verdicts, [Err("Reload failed, the previous code serves on: syntax error".to_owned())]);
    assert_eq!(bench.step(), [Action::DismissMold { generation: 2 }]);
    bench.event(Event::MoldExited { generation: 2, ending: Ending::Exited(1) });
    assert_eq!(bench.step(), []);
    assert_eq!((bench.ids(), bench.roster.current, bench.roster.mold()), (before, 1, Mold::Ready));
    bench.roster.request_reload(bench.now);
    assert_eq!(bench.step(), [Action::StartMold { generation: 3 }], "the next attempt is a new generation");
}

#[test]
fn a_mold_that_dies_while_loading_rolls_back() {
    let mut bench = Bench::serving(2);
    bench.roster.request_reload(bench.now);
    bench.step();
    bench.event(Event::MoldExited { generation: 2, ending: Ending::Killed(11) });
    assert_eq!(bench.roster.verdicts.len(), 1);
    assert!(bench.roster.verdicts[0].as_ref().unwrap_err().contains("was killed by SIGSEGV"));
    assert_eq!(bench.step(), []);
}

#[test]
fn a_trial_worker_that_fails_rolls_back_with_its_message() {
    let mut bench = Bench::serving(2);
    let before = bench.ids();
    let trial = try_new_code(&mut bench);
    bench.event(Event::WorkerSpawned { id: trial, pid: 7 });
    bench.event(Event::WorkerStarted { id: trial });
    bench.event(Event::WorkerStartupFailed { id: trial, message: "no database".to_owned() });
    bench.exit(trial, Ending::Exited(2));
    assert_eq!(
        bench.roster.verdicts,
        [Err("Reload failed, the previous code serves on: Startup failed: no database".to_owned())]
    );
    assert_eq!(bench.step(), [Action::DismissMold { generation: 2 }]);
    assert_eq!(bench.ids(), before);
    assert_eq!(bench.roster.seat(1).failures, 0, "the old code is not to blame");
}

#[test]
fn a_trial_worker_that_hangs_is_given_up_in_time() {
    let mut bench = Bench::serving(1);
    let trial = try_new_code(&mut bench);
    bench.event(Event::WorkerSpawned { id: trial, pid: 7 });
    bench.event(Event::WorkerStarted { id: trial });
    let due = LIMITS.startup.unwrap() + MARGIN;
    assert_eq!(bench.wake_at(), Some(bench.now + due));
    bench.pass(due);
    let text = "The first worker with the new code was not ready within 12 seconds".to_owned();
    assert_eq!(bench.step(), [Action::RollBack(text)]);
    let expected = [Action::DismissMold { generation: 2 }, Action::Kill(trial, Grounds::Unneeded)];
    assert_eq!(bench.step(), expected);
    bench.exit(trial, Ending::Killed(9));
    bench.event(Event::MoldExited { generation: 2, ending: Ending::Killed(9) });
    assert_eq!(bench.step(), []);
}

#[test]
fn code_that_loads_for_ever_is_given_up_in_time() {
    let mut bench = Bench::serving(1);
    bench.roster.request_reload(bench.now);
    bench.step();
    bench.pass(LIMITS.load.unwrap());
    assert_eq!(bench.step(), [Action::RollBack("The application was not loaded within 60 seconds".to_owned())]);
    assert_eq!(bench.step(), [Action::DismissMold { generation: 2 }]);
}

#[test]
fn code_that_fails_later_is_taken_back_everywhere() {
    let mut bench = Bench::serving(2);
    let old = bench.ids();
    let trial = try_new_code(&mut bench);
    bench.make_ready(trial);
    bench.step();
    bench.step();
    assert_eq!(bench.step(), [Action::Retire(old[1], Cause::Reload)]);
    for attempt in 0..crate::reload::ATTEMPTS {
        bench.pass(backoff::delay(attempt));
        assert_eq!(bench.step(), [Action::Spawn { num: 2, generation: 2 }], "attempt {attempt}");
        let id = *bench.ids().last().unwrap();
        bench.exit(id, Ending::Exited(2));
    }
    assert_eq!(bench.roster.current, 1);
    assert!(bench.roster.verdicts[0].is_err());
    assert!(!bench.roster.workers[&old[1]].retiring, "the old worker that is left stays");
    let expected = [Action::DismissMold { generation: 2 }, Action::Retire(trial, Cause::Rollback)];
    assert_eq!(bench.step(), expected);
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 1 }]);
    let back = *bench.ids().last().unwrap();
    bench.make_ready(back);
    assert_eq!(bench.step(), [Action::Stop(trial)]);
}

#[test]
fn an_old_worker_that_crashes_during_the_trial_is_replaced_with_old_code() {
    let mut bench = Bench::serving(2);
    let old = bench.ids();
    try_new_code(&mut bench);
    bench.exit(old[0], Ending::Killed(9));
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 1 }]);
}

#[test]
fn a_reload_asked_for_meanwhile_follows() {
    let mut bench = Bench::serving(1);
    bench.roster.request_reload(bench.now);
    bench.step();
    bench.roster.request_reload(bench.now);
    bench.roster.request_reload(bench.now);
    assert_eq!(bench.step(), []);
    bench.event(Event::MoldFailed { generation: 2, message: "x".to_owned() });
    let expected = [Action::DismissMold { generation: 2 }, Action::StartMold { generation: 3 }];
    assert_eq!(bench.step(), expected, "one for all that were asked for");
    assert!(!bench.roster.reload_queued);
}

#[test]
fn a_reload_without_preloading_starts_with_the_trial_worker() {
    let mut bench = Bench::new(2, false);
    bench.step();
    for id in bench.ids() {
        bench.make_ready(id);
    }
    bench.roster.request_reload(bench.now);
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 2 }]);
}

#[test]
fn a_stop_ends_a_reload() {
    let mut bench = Bench::serving(1);
    let trial = try_new_code(&mut bench);
    bench.event(Event::WorkerSpawned { id: trial, pid: 7 });
    bench.event(Event::StopRequested);
    assert_eq!(bench.roster.verdicts, [Err("The server is stopping".to_owned())]);
    let actions = bench.step();
    for generation in [1, 2] {
        assert!(actions.contains(&Action::DismissMold { generation }), "{actions:?}");
    }
}

#[test]
fn queues_are_dealt_before_workers_go_and_after_they_came() {
    let mut bench = Bench::serving(2);
    bench.roster.request_scale(4);
    assert_eq!(bench.step(), [3, 4].map(|num| Action::Spawn { num, generation: 1 }));
    assert_eq!(bench.step(), [], "not while a queue would be without a server");
    let ids = bench.ids();
    bench.make_ready(ids[2]);
    assert_eq!(bench.step(), []);
    bench.make_ready(ids[3]);
    assert_eq!(bench.step(), [Action::Deal { workers: 4 }]);
    bench.roster.request_scale(1);
    let stops = [ids[1], ids[2], ids[3]].map(Action::Stop);
    assert_eq!(bench.step(), [&[Action::Deal { workers: 1 }], &stops[..]].concat());
    assert_eq!(bench.step(), []);
}

#[test]
fn workers_that_are_not_wanted_any_more_do_not_finish_starting() {
    let mut bench = Bench::serving(1);
    bench.roster.request_scale(2);
    bench.step();
    let second = bench.ids()[1];
    bench.event(Event::WorkerSpawned { id: second, pid: 8 });
    bench.roster.request_scale(1);
    assert_eq!(bench.step(), [Action::Kill(second, Grounds::Unneeded)]);
}

#[test]
fn age_takes_turns() {
    let mut bench = Bench::serving(2);
    bench.limits.age = Some(Duration::from_secs(100));
    let old = bench.ids();
    assert_eq!(bench.wake_at(), Some(bench.now + Duration::from_secs(100)));
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.step(), [Action::Retire(old[0], Cause::MaxAge)]);
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 1 }]);
    let new = *bench.ids().last().unwrap();
    bench.make_ready(new);
    assert_eq!(bench.step(), [Action::Stop(old[0])]);
    assert_eq!(bench.step(), [Action::Retire(old[1], Cause::MaxAge)]);
}

#[test]
fn a_worker_that_is_too_big_is_replaced() {
    let mut bench = Bench::serving(2);
    let big = bench.ids()[1];
    bench.event(Event::WorkerTooBig { id: big, bytes: 1 << 30 });
    assert_eq!(bench.step(), [Action::Retire(big, Cause::MaxRss)]);
    assert_eq!(bench.roster.restarts[&Cause::MaxRss], 1);
}

#[test]
fn a_restart_that_cannot_be_is_given_up() {
    let mut bench = Bench::serving(1);
    let old = bench.ids()[0];
    assert_eq!(bench.roster.request_restart(Some(7)), []);
    assert_eq!(bench.roster.request_restart(None), [old]);
    assert_eq!(bench.step(), [Action::Retire(old, Cause::Restart)]);
    for attempt in 0..crate::roster::GIVE_UP_AFTER {
        bench.pass(backoff::delay(attempt));
        assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 1 }]);
        let id = *bench.ids().last().unwrap();
        bench.exit(id, Ending::Exited(2));
    }
    assert_eq!(bench.step(), []);
    assert!(!bench.roster.workers[&old].retiring);
}

#[test]
fn there_are_never_more_workers_than_slots() {
    let mut bench = Bench::serving(2);
    bench.roster.room = 3;
    bench.roster.request_scale(5);
    assert_eq!(bench.step(), [Action::Spawn { num: 3, generation: 1 }]);
    assert_eq!(bench.step(), []);
}
