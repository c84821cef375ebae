//! The simulator: two pair engines, the room engine and the relay engine as they are, in a world of which every part
//! that can fail is a model that does. A run is decided by its seed, and can be had again by it.
//!
//! `make simulate SEEDS=100000` runs more of them, `SEED=123 make simulate` one, with its trace.

mod chance;
mod client;
mod clock;
mod database;
mod faults;
mod flaw;
mod node;
mod plan;
mod server;
mod stanzas;
mod truth;
mod wire;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use flaw::Flaw;
use plan::Plan;
use world::{Run, Seen, World};

/// Runs of the normal test.
const SEEDS: u64 = 2_000;
/// Lines of a trace that are shown of a run that failed.
const SHOWN: usize = 120;
/// What must have happened often in a normal test.
const MUST_HAPPEN: [&str; 15] = [
    "leases asked for by the lock",
    "leases asked for when over",
    "losses reported",
    "messages archived",
    "messages said again",
    "moves begun",
    "moves made",
    "orders answered",
    "reigns cut",
    "reigns ended",
    "reigns taken up",
    "relays restarted",
    "stanzas replayed and known",
    "stopped at a step",
    "takeovers",
];
/// How a run ends well.
const NOTHING: &str = "nothing is wrong";

fn number_in(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.trim().parse().ok())
}

fn run(seed: u64, flaw: Flaw, is_traced: bool) -> Run {
    World::new(seed, Plan::of(seed), flaw, is_traced).run()
}

/// What happened in the run of this seed: the last part of it, and what went wrong.
fn story_of(seed: u64, flaw: Flaw, shown: usize) -> String {
    let Run { broken, seen, trace } = run(seed, flaw, true);
    let last = trace[trace.len().saturating_sub(shown)..].join("\n");
    let end = broken.unwrap_or_else(|| NOTHING.to_owned());
    let plan = Plan::of(seed);
    format!("{plan:#?}\n{last}\n{:?}\nseed {seed}: {end}\nhave it again: SEED={seed} make simulate", seen.0)
}

/// Runs `seeds` on all cores: the lowest that failed, and what was seen in all.
fn run_all(seeds: std::ops::Range<u64>, flaw: Flaw) -> (Option<u64>, Seen) {
    let next = AtomicU64::new(seeds.start);
    let found: Mutex<(Option<u64>, Seen)> = Mutex::default();
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || lock().0.is_some_and(|failed| failed < seed) {
                        return;
                    }
                    let Run { broken, seen, .. } = run(seed, flaw, false);
                    let mut found = lock();
                    found.1.union(&seen);
                    if broken.is_some() {
                        found.0 = Some(found.0.map_or(seed, |failed| failed.min(seed)));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
#[expect(clippy::print_stdout, reason = "the trace is what one asks for with SEED")]
fn whatever_goes_wrong_nothing_is_lost_doubled_or_out_of_order() {
    if let Some(seed) = number_in("SEED") {
        let story = story_of(seed, Flaw::None, usize::MAX);
        println!("{story}");
        assert!(story.contains(NOTHING), "seed {seed} fails");
        return;
    }
    let seeds = number_in("SEEDS").unwrap_or(SEEDS);
    let begun = std::time::Instant::now();
    let (failed, seen) = run_all(0..seeds, Flaw::None);
    println!("{seeds} seeds in {:.1} s: {:#?}", begun.elapsed().as_secs_f64(), seen.0);
    if let Some(seed) = failed {
        panic!("{}", story_of(seed, Flaw::None, SHOWN));
    }
    if seeds >= SEEDS {
        let missing: Vec<_> = MUST_HAPPEN.iter().filter(|what| seen.0.get(**what).is_none_or(|&n| n < 5)).collect();
        assert!(missing.is_empty(), "hardly ever happened, so nothing is proven about it: {missing:?} in {:?}", seen.0);
    }
}

/// Runs until a driver that is broken on purpose is caught.
const CAUGHT_WITHIN: u64 = 1_500;

/// A broken driver breaks what must hold, in one of these words.
fn is_caught(flaw: Flaw, wanted: &[&str]) {
    let (failed, _) = run_all(0..CAUGHT_WITHIN, flaw);
    let Some(seed) = failed else { panic!("{flaw:?} goes unnoticed in {CAUGHT_WITHIN} seeds") };
    let broken = run(seed, flaw, false).broken.unwrap_or_default();
    assert!(wanted.iter().any(|words| broken.contains(words)), "{flaw:?} is noticed otherwise, seed {seed}: {broken}");
}

#[test]
fn a_driver_that_speaks_before_the_commit_is_caught() {
    is_caught(Flaw::SpeaksFirst, &["which is not in the archive"]);
}

#[test]
fn a_driver_that_speaks_when_its_lease_is_over_is_caught() {
    is_caught(Flaw::IgnoresGate, &["its lease ran out"]);
}

#[test]
fn a_lease_taken_without_raising_the_fence_is_caught() {
    is_caught(Flaw::LeavesFence, &["had begun", "in the archive at"]);
}

#[test]
fn a_takeover_that_leaves_words_unheard_is_caught() {
    is_caught(Flaw::ForgetsTail, &["hear"]);
}

#[test]
fn a_driver_that_acknowledges_before_the_commit_is_caught() {
    is_caught(Flaw::AcknowledgesEarly, &["refused 0 times", "is not inside"]);
}

#[test]
fn an_entrance_that_is_stored_as_handled_before_its_answer_is_heard_is_caught() {
    is_caught(Flaw::StoresEarly, &["is not inside"]);
}

#[test]
fn a_takeover_that_handles_stanzas_twice_is_caught() {
    is_caught(Flaw::ForgetsNumbers, &["in the archive twice"]);
}

#[test]
fn a_driver_that_takes_a_new_relays_numbers_for_the_old_ones_is_caught() {
    is_caught(Flaw::KeepsNumbers, &["is not inside"]);
}

#[test]
fn a_takeover_that_people_see_is_caught() {
    is_caught(Flaw::SaysGoodbye, &["who never did"]);
}
