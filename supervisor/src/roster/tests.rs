use super::failures::HOPELESS_AFTER;
use super::*;
use crate::backoff;
use crate::event::Ending;
use crate::exit::{STOPPED, WORKER_STARTUP_FAILED};
use std::time::Duration;

fn books() -> (Roster, Instant) {
    let now = Instant::now();
    let mut roster = Roster::new(2, true, now);
    roster.note_mold_started(1);
    roster.apply(Event::MoldReady { generation: 1 }, now);
    (roster, now)
}

fn ready_worker(roster: &mut Roster, num: u32, now: Instant) -> WorkerId {
    let slot = roster.free_slot(8).unwrap();
    let id = roster.note_requested(num, 1, slot, now);
    let pid = 100 + i32::try_from(id.0).unwrap();
    roster.apply(Event::WorkerSpawned { id, pid }, now);
    roster.apply(Event::WorkerStarted { id }, now);
    roster.apply(Event::WorkerReady { id }, now);
    id
}

fn exit(roster: &mut Roster, id: WorkerId, ending: Ending, now: Instant) {
    roster.apply(Event::WorkerExited { id, ending }, now);
}

#[test]
fn a_life_in_order() {
    let (mut roster, now) = books();
    assert_eq!(roster.mold(), Mold::Ready);
    let id = ready_worker(&mut roster, 1, now);
    let worker = &roster.workers[&id];
    assert_eq!((worker.stage, worker.pid, worker.slot), (Stage::Ready, Some(101), 0));
    assert!(roster.ever_ready);
    assert_eq!((roster.holders(1), roster.holders(2)), (1, 0));
    roster.note_told(id, Stage::Stopping, now);
    roster.apply(Event::WorkerDraining { id, connections: 3 }, now);
    assert_eq!(roster.workers[&id].stage, Stage::Stopping, "a stage never goes back");
    exit(&mut roster, id, Ending::Exited(STOPPED), now);
    assert!(roster.workers.is_empty());
    assert_eq!(roster.seat(1).failures, 0);
}

#[test]
fn ids_are_new_and_slots_are_reused() {
    let (mut roster, now) = books();
    let first = ready_worker(&mut roster, 1, now);
    let second = ready_worker(&mut roster, 2, now);
    assert_eq!(roster.workers[&second].slot, 1);
    exit(&mut roster, first, Ending::Killed(9), now);
    let third = ready_worker(&mut roster, 1, now);
    assert_eq!(roster.workers[&third].slot, 0);
    assert_ne!(first, third);
    assert_eq!(roster.free_slot(2), None);
}

#[test]
fn failures_add_up_until_a_worker_is_stable() {
    let (mut roster, now) = books();
    for failures in 1..=3 {
        let id = roster.note_requested(1, 1, 0, now);
        exit(&mut roster, id, Ending::Killed(11), now);
        assert_eq!(roster.seat(1).failures, failures);
    }
    assert_eq!(roster.seat(1).not_before, Some(now + backoff::delay(3)));
    let id = ready_worker(&mut roster, 1, now);
    exit(&mut roster, id, Ending::Killed(11), now + Duration::from_secs(1));
    assert_eq!(roster.seat(1).failures, 2, "it could start: only the short waiting time");
    let id = ready_worker(&mut roster, 1, now);
    exit(&mut roster, id, Ending::Killed(11), now + backoff::STABLE_AFTER);
    assert_eq!(roster.seat(1).failures, 1, "a stable worker forgets the past");
}

#[test]
fn a_worker_that_left_by_itself_is_no_failure() {
    let (mut roster, now) = books();
    let id = ready_worker(&mut roster, 1, now);
    roster.apply(Event::WorkerDraining { id, connections: 0 }, now);
    exit(&mut roster, id, Ending::Exited(STOPPED), now);
    assert_eq!(roster.seat(1).failures, 0);
    let id = ready_worker(&mut roster, 1, now);
    exit(&mut roster, id, Ending::Exited(STOPPED), now);
    assert_eq!(roster.seat(1).failures, 1, "an exit(0) out of the blue is one");
}

#[test]
fn hopeless_until_anybody_is_ready() {
    let (mut roster, now) = books();
    let first = roster.note_requested(1, 1, 0, now);
    exit(&mut roster, first, Ending::Exited(WORKER_STARTUP_FAILED), now);
    assert!(roster.seat(1).hopeless, "a failed start-up is not repeated");
    for _ in 0..HOPELESS_AFTER {
        assert!(!roster.seat(2).hopeless);
        let second = roster.note_requested(2, 1, 0, now);
        exit(&mut roster, second, Ending::Killed(6), now);
    }
    assert!(roster.seat(2).hopeless, "nor are endless crashes");
    ready_worker(&mut roster, 2, now);
    assert!(!roster.seat(1).hopeless, "the application can start after all");
    let again = roster.note_requested(1, 1, 3, now);
    exit(&mut roster, again, Ending::Exited(WORKER_STARTUP_FAILED), now);
    assert!(!roster.seat(1).hopeless, "from then on it is retried, with waiting times");
    assert!(roster.seat(1).not_before.is_some_and(|at| at > now));
}

#[test]
fn a_mold_takes_unreported_workers_with_it() {
    let (mut roster, now) = books();
    let born = ready_worker(&mut roster, 1, now);
    let unborn = roster.note_requested(2, 1, 1, now);
    roster.apply(Event::MoldExited { generation: 1, ending: Ending::Killed(9) }, now);
    assert!(roster.workers.contains_key(&born) && !roster.workers.contains_key(&unborn));
    assert_eq!(roster.mold(), Mold::Absent { not_before: now }, "the first failure is repeated at once");
    assert_eq!(roster.load_error, None, "somebody serves: no reason to give up");
}

#[test]
fn why_the_application_cannot_be_loaded() {
    let now = Instant::now();
    let mut roster = Roster::new(2, true, now);
    roster.note_mold_started(1);
    roster.apply(Event::MoldFailed { generation: 1, message: "syntax error".to_owned() }, now);
    roster.apply(Event::MoldExited { generation: 1, ending: Ending::Exited(1) }, now);
    assert_eq!(roster.load_error.as_deref(), Some("syntax error"));
    let mut silent = Roster::new(2, true, now);
    silent.note_mold_started(1);
    silent.apply(Event::MoldExited { generation: 1, ending: Ending::Killed(9) }, now);
    let expected = "The process that loads the application was killed by SIGKILL";
    assert_eq!(silent.load_error.as_deref(), Some(expected));
}

#[test]
fn stop_requests_escalate() {
    let (mut roster, now) = books();
    let expected = [Stop::Graceful(now), Stop::Fast(now), Stop::Now, Stop::Now];
    for stop in expected {
        roster.apply(Event::StopRequested, now);
        assert_eq!(roster.stop, stop);
    }
}

#[test]
fn events_about_strangers_change_nothing() {
    let (mut roster, now) = books();
    let id = WorkerId(77);
    for event in [
        Event::WorkerSpawned { id, pid: 1 },
        Event::WorkerReady { id },
        Event::WorkerWantsReplacement { id },
        Event::HeartbeatLost { id },
        Event::WorkerExited { id, ending: Ending::Exited(0) },
        Event::MoldReady { generation: 9 },
    ] {
        roster.apply(event, now);
    }
    assert!(roster.workers.is_empty() && roster.seats.is_empty());
    assert!(!roster.ever_ready || roster.workers.is_empty());
}

#[test]
fn the_beginning_is_over_when_every_number_is_held_or_given_up() {
    let (mut roster, now) = books();
    assert_eq!(roster.beginning(), Beginning::UnderWay);
    ready_worker(&mut roster, 1, now);
    assert_eq!(roster.beginning(), Beginning::UnderWay);
    let second = ready_worker(&mut roster, 2, now);
    assert_eq!(roster.beginning(), Beginning::Done);
    exit(&mut roster, second, Ending::Killed(9), now);
    for slot in 10..10 + usize::try_from(GIVE_UP_AFTER).unwrap() {
        let id = roster.note_requested(2, 1, slot, now);
        exit(&mut roster, id, Ending::Killed(9), now);
    }
    assert_eq!(roster.beginning(), Beginning::Failed("worker 2 does not start; see the log".to_owned()));
}

#[test]
fn one_line_says_what_the_server_does() {
    let (mut roster, now) = books();
    let first = ready_worker(&mut roster, 1, now);
    assert_eq!(roster.summary(), "Generation 1; 1 of 2 workers serve");
    roster.note_requested(2, 1, 7, now);
    assert_eq!(roster.summary(), "Generation 1; 1 of 2 workers serve, 1 start or finish");
    roster.request_reload(now);
    assert_eq!(roster.summary(), "Reloading to generation 2; 1 workers serve");
    roster.note_told(first, Stage::Stopping, now);
    roster.apply(Event::StopRequested, now);
    assert_eq!(roster.summary(), "Stopping; 2 workers left");
}

#[test]
fn pool_processes_have_numbers_of_their_own() {
    let (mut roster, _) = books();
    roster.pool = 2;
    let pool = [staff::POOL + 1, staff::POOL + 2];
    assert_eq!(roster.numbers().collect::<Vec<_>>(), [1, 2, pool[0], pool[1]]);
    assert!(pool.iter().all(|&num| roster.wants(num)) && !roster.wants(staff::POOL + 3));
    roster.request_scale(1);
    assert_eq!(roster.numbers().collect::<Vec<_>>(), [1, pool[0], pool[1]], "scaling is about workers");
}
