//! The store's contract: one suite, run on every database that can be reached here. Every case gets an empty
//! database of its own; what could not be run is said out loud.
#![allow(clippy::print_stdout, reason = "a test program speaks to its reader")]

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tandem_muc_tests::postgres::Postgres;
use tempfile::TempDir;

mod leases;
mod model;
mod place;
mod records;

use place::Place;

/// Longer takes no case on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

type Case = fn(Arc<Place>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// A case for both databases, named as a sentence.
macro_rules! cases {
    ($($folder:ident: $($case:ident),+ $(,)?);+ $(;)?) => {
        [$($((concat!(stringify!($folder), "::", stringify!($case)), (|place| Box::pin($folder::$case(place))) as Case),)+)+]
    };
}

fn main() {
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let cases = cases! {
        records:
            every_record_comes_back_in_the_image,
            any_sequence_of_records_ends_at_the_image_of_the_model,
            a_destroyed_room_makes_way_for_a_new_one;
        leases: a_lease_is_given_once_and_comes_with_the_fence;
    };
    let wanted: Vec<(&str, Case)> = cases.into_iter().filter(|(name, _)| name.contains(&filter)).collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut failed = Vec::new();

    for (name, case) in &wanted {
        let place = Place::Sqlite { folder: TempDir::new().expect("a temporary directory") };
        run(&runtime, "sqlite", name, *case, place, &mut failed);
    }
    match Postgres::start() {
        Ok(Some(server)) => {
            let server = Arc::new(Mutex::new(server));
            for (nth, (name, case)) in wanted.iter().enumerate() {
                let database = format!("case_{nth}");
                place::lock(&server).create_database(&database).expect("a database");
                run(
                    &runtime,
                    "postgres",
                    name,
                    *case,
                    Place::Postgres { server: server.clone(), database },
                    &mut failed,
                );
            }
        }
        Ok(None) => println!("\n!!! SKIPPED: PostgreSQL is not installed, the contract ran on SQLite alone\n"),
        Err(why) => failed.push(format!("postgres did not start: {why}")),
    }
    drop(runtime);

    println!("\ncontract: {} cases, {} failures", wanted.len(), failed.len());
    for name in &failed {
        println!("  FAILED {name}");
    }
    std::process::exit(i32::from(!failed.is_empty()));
}

fn run(
    runtime: &tokio::runtime::Runtime,
    database: &str,
    name: &str,
    case: Case,
    place: Place,
    failed: &mut Vec<String>,
) {
    let begun = Instant::now();
    let place = Arc::new(place);
    let bounded = async { tokio::time::timeout(PATIENCE, case(place)).await };
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(bounded)));
    let verdict = match ended {
        Ok(Ok(())) => "ok",
        Ok(Err(_)) => "TOOK TOO LONG",
        Err(_) => "FAILED",
    };
    if verdict != "ok" {
        failed.push(format!("{database} {name}"));
    }
    println!("{database:8} {name} … {verdict} ({} ms)", begun.elapsed().as_millis());
}
