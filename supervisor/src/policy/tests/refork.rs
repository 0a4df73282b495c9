//! A worker becomes the mold.

use super::*;

/// Workers that have served this much, in order.
fn served(bench: &Bench, requests: &[u64]) -> BTreeMap<WorkerId, u64> {
    bench.ids().into_iter().zip(requests.iter().copied()).collect()
}

#[test]
fn the_worker_that_has_served_most_is_chosen_once_it_has_served_enough() {
    let mut bench = Bench::serving(3);
    let ids = bench.ids();
    assert_eq!(ripe(&bench.roster, &served(&bench, &[5, 9, 7]), 8), Some(ids[1]));
    assert_eq!(ripe(&bench.roster, &served(&bench, &[5, 9, 7]), 10), None, "nobody has served enough");
    assert_eq!(ripe(&bench.roster, &served(&bench, &[9, 9, 9]), 0), Some(ids[0]), "the oldest of equals");
    bench.roster.note_retiring(ids[1], Cause::Restart);
    assert_eq!(ripe(&bench.roster, &served(&bench, &[5, 9, 7]), 0), Some(ids[2]), "not one that leaves anyway");
    bench.roster.request_reload(bench.now);
    assert_eq!(ripe(&bench.roster, &served(&bench, &[5, 9, 7]), 0), None, "one change at a time");
    let bare = Bench::new(2, false);
    assert_eq!(ripe(&bare.roster, &BTreeMap::new(), 0), None);
}

/// A server of two in which worker 1 has been told to become the mold, and has a replacement.
fn promoted() -> (Bench, WorkerId) {
    let mut bench = Bench::serving(2);
    let chosen = bench.ids()[0];
    bench.roster.request_refork(chosen, bench.now);
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 1 }], "its number is taken first");
    assert_eq!(bench.step(), []);
    let replacement = *bench.ids().last().unwrap();
    bench.make_ready(replacement);
    assert_eq!(bench.step(), [Action::Promote { id: chosen, generation: 2 }]);
    assert_eq!(bench.step(), []);
    (bench, chosen)
}

#[test]
fn all_workers_are_then_replaced_from_it() {
    let (mut bench, chosen) = promoted();
    bench.event(Event::WorkerDraining { id: chosen, connections: 0 });
    bench.event(Event::MoldReady { generation: 2 });
    assert!(!bench.ids().contains(&chosen), "it is no worker any more");
    assert_eq!(bench.step(), [Action::Spawn { num: 1, generation: 2 }], "a trial");
    let trial = *bench.ids().last().unwrap();
    bench.make_ready(trial);
    let mut replaced = Vec::new();
    for _ in 0..20 {
        for action in bench.step() {
            match action {
                Action::Retire(_, cause) => replaced.push(cause),
                Action::Spawn { .. } => bench.make_ready(*bench.ids().last().unwrap()),
                Action::Stop(id) => {
                    bench.event(Event::WorkerDraining { id, connections: 0 });
                    bench.exit(id, Ending::Exited(0));
                }
                Action::DismissMold { generation } => {
                    assert_eq!(generation, 1);
                    bench.event(Event::MoldExited { generation, ending: Ending::Killed(9) });
                }
                _ => {}
            }
        }
    }
    assert_eq!(replaced, [Cause::Refork, Cause::Refork]);
    assert_eq!(bench.roster.verdicts, [Ok(2)]);
    assert_eq!(bench.roster.restarts[&Cause::Refork], 3, "those two and the one that is the mold now");
    assert!(bench.roster.workers.values().all(|worker| worker.generation == 2));
    assert_eq!((bench.roster.current, bench.roster.mold()), (2, Mold::Ready));
    assert!(bench.roster.generations[&2].reforked);
}

fn assert_rolled_back(bench: &mut Bench, reason: &str) {
    let expected = format!("Refork failed, the previous code serves on: {reason}");
    assert_eq!(bench.roster.verdicts, [Err(expected)]);
    assert_eq!(bench.step(), [], "nobody else was touched");
    assert_eq!((bench.roster.current, bench.roster.mold()), (1, Mold::Ready));
    assert_eq!((1..=2).map(|num| bench.roster.holders(num)).sum::<usize>(), 2);
    assert!(bench.roster.generations[&1].reforked, "it is not tried again and again");
    assert!(!bench.roster.generations.contains_key(&2));
}

#[test]
fn one_that_dies_or_cannot_changes_nothing() {
    let (mut bench, chosen) = promoted();
    bench.exit(chosen, Ending::Killed(9));
    assert_rolled_back(&mut bench, "The worker that was to become the mold was killed by SIGKILL");
    let (mut bench, chosen) = promoted();
    bench.event(Event::WorkerDraining { id: chosen, connections: 0 });
    bench.event(Event::MoldFailed { generation: 2, message: "it has threads".to_owned() });
    bench.exit(chosen, Ending::Exited(0));
    bench.event(Event::MoldExited { generation: 2, ending: Ending::Exited(0) });
    assert_rolled_back(&mut bench, "it has threads");
}

#[test]
fn one_that_does_not_finish_is_killed() {
    let (mut bench, chosen) = promoted();
    bench.pass(LIMITS.shutdown + MARGIN);
    assert_eq!(bench.step(), [Action::Kill(chosen, Grounds::TooSlow)]);
    bench.exit(chosen, Ending::Killed(9));
    assert_rolled_back(&mut bench, "The worker that was to become the mold was killed by SIGKILL");
}

#[test]
fn a_stop_ends_it() {
    let (mut bench, chosen) = promoted();
    bench.event(Event::StopRequested);
    bench.step();
    bench.event(Event::MoldReady { generation: 2 });
    assert_eq!(bench.step(), [Action::DismissMold { generation: 2 }], "it became the mold all the same");
    assert!(!bench.ids().contains(&chosen));
}
