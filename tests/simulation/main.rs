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
use world::World;

/// Runs of the normal test.
const SEEDS: u64 = 1_000;
/// Lines of a trace that are shown of a run that failed.
const SHOWN: usize = 120;

fn number_in(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.trim().parse().ok())
}

fn run(seed: u64, flaw: Flaw, is_traced: bool) -> Result<u64, (String, Vec<String>)> {
    World::new(seed, Plan::of(seed), flaw, is_traced).run()
}

/// What went wrong in the run of this seed, with the last part of what happened.
fn story_of(seed: u64, flaw: Flaw, shown: usize) -> String {
    let plan = Plan::of(seed);
    let (broken, trace) = match run(seed, flaw, true) {
        Ok(steps) => return format!("seed {seed}: nothing is wrong in {steps} steps\n{plan:#?}"),
        Err(failed) => failed,
    };
    let last = trace[trace.len().saturating_sub(shown)..].join("\n");
    format!("{plan:#?}\n{last}\nseed {seed}: {broken}\nhave it again: SEED={seed} make simulate")
}

/// Runs `seeds` on all cores; the lowest that failed.
fn first_failure(seeds: std::ops::Range<u64>, flaw: Flaw) -> Option<u64> {
    let next = AtomicU64::new(seeds.start);
    let failed: Mutex<Option<u64>> = Mutex::new(None);
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let is_over = failed.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at < seed);
                    if seed >= seeds.end || is_over {
                        return;
                    }
                    if run(seed, flaw, false).is_err() {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        *failed = Some(failed.map_or(seed, |at| at.min(seed)));
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[test]
#[expect(clippy::print_stdout, reason = "the trace is what one asks for with SEED")]
fn whatever_goes_wrong_nothing_is_lost_doubled_or_out_of_order() {
    if let Some(seed) = number_in("SEED") {
        let story = story_of(seed, Flaw::None, usize::MAX);
        println!("{story}");
        assert!(story.contains("nothing is wrong"), "seed {seed} fails");
        return;
    }
    let seeds = number_in("SEEDS").unwrap_or(SEEDS);
    let begun = std::time::Instant::now();
    let failed = first_failure(0..seeds, Flaw::None);
    println!("{seeds} seeds in {:.1} s", begun.elapsed().as_secs_f64());
    if let Some(seed) = failed {
        panic!("{}", story_of(seed, Flaw::None, SHOWN));
    }
}
