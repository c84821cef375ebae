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

mod archive;
mod damage;
mod fences;
mod leases;
mod listeners;
mod listing;
mod model;
mod node;
mod opening;
mod outage;
mod place;
mod records;
mod rights;
mod sessions;
mod texts;
mod upgrade;

use place::Place;

/// Longer takes no case on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

type Case = fn(Arc<Place>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// The databases a case is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Both,
    Sqlite,
    Postgres,
}

/// Cases by the databases they are for and the file they are in, each named as a sentence.
macro_rules! cases {
    ($($on:ident $folder:ident: $($case:ident),+ $(,)?);+ $(;)?) => {
        [$($((On::$on, concat!(stringify!($folder), "::", stringify!($case)), (|place| Box::pin($folder::$case(place))) as Case),)+)+]
    };
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut args = std::env::args().skip(1);
    if let (Some(opening::OPEN_AND_TELL), Some(url)) = (args.next().as_deref(), args.next()) {
        println!("{}", runtime.block_on(opening::open_and_tell(&url)));
        return;
    }
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    let cases = cases! {
        Both records:
            every_record_comes_back_in_the_image,
            any_sequence_of_records_ends_at_the_image_of_the_model,
            a_destroyed_room_makes_way_for_a_new_one,
            a_large_group_comes_back_whole_and_in_order,
            a_vcard_is_read_apart_from_its_room;
        Both leases:
            a_lease_is_given_once_and_comes_with_the_fence,
            of_eight_who_ask_at_once_one_gets_the_lease,
            a_lease_that_ran_out_is_anybodys,
            renewing_and_releasing_are_for_the_holder_alone,
            a_lease_is_stolen_only_with_the_session_lock,
            a_session_lock_ends_with_its_session,
            a_fence_restored_ahead_of_its_lease_is_overtaken;
        Both rights:
            a_lease_is_seen_with_its_fence,
            a_silent_lease_is_taken_if_it_is_still_as_it_was_seen,
            of_eight_who_find_a_lease_silent_one_gets_it,
            a_new_epoch_exceeds_what_was_seen_elsewhere,
            what_is_handed_over_is_taken_up_with_all_that_came_along,
            only_the_holder_hands_over,
            the_target_finds_all_that_was_written_before,
            what_is_handled_moves_with_the_group;
        Both sessions:
            who_waits_for_a_session_lock_has_it_once_it_is_free,
            who_gives_up_waiting_leaves_no_lock_behind,
            ending_the_sessions_of_a_stopped_holder_frees_the_fence,
            named_stores_write_side_by_side;
        Both node:
            a_node_is_seen_as_it_last_beat,
            duties_are_written_with_the_beat,
            first_beats_of_one_node_do_not_hinder_each_other,
            an_order_is_taken_once_and_ended_once,
            events_come_back_newest_first,
            what_is_passed_on_arrives_whole_or_not_yet;
        Both upgrade:
            a_database_of_schema_1_is_brought_up_with_its_data,
            a_database_keeps_its_identity,
            settings_that_endanger_something_are_told;
        Both fences:
            a_stale_epoch_and_a_wrong_place_write_nothing,
            repeating_an_append_whose_answer_was_lost_is_harmless,
            the_tail_after_a_mark_is_what_was_written_since,
            what_was_not_heard_comes_back_in_its_order_until_it_is_let_go,
            an_old_holder_cannot_write_while_a_new_one_takes_over;
        Both texts:
            texts_come_back_as_they_went_in,
            jids_that_differ_in_case_of_the_resource_or_in_blanks_are_different,
            what_xml_cannot_carry_is_replaced;
        Both damage:
            a_damaged_row_concerns_its_room_alone,
            a_group_with_a_fact_that_cannot_be_kept_is_refused_whole;
        Both listeners:
            who_listens_is_known_to_the_next_holder,
            rooms_with_something_unseen_are_found;
        Both listing:
            public_rooms_come_in_pages,
            public_rooms_are_found_by_what_they_say,
            occupied_rooms_are_those_with_somebody_inside,
            sessions_of_one_server_come_in_pages;
        Both archive:
            a_look_finds_what_a_plain_list_has,
            the_ends_of_an_archive_are_told,
            a_search_ends_where_it_went_far_enough,
            what_was_taken_back_says_nothing_any_more,
            what_expired_is_gone_and_its_number_stays_taken,
            rooms_come_with_their_configurations;
        Both opening:
            a_newer_schema_is_refused,
            several_nodes_migrate_at_once,
            a_database_that_cannot_be_written_is_told,
            a_probe_tells_the_version;
        Both outage:
            a_call_takes_no_longer_than_it_may;
        Sqlite opening:
            wrong_urls_say_what_is_wrong,
            a_file_that_is_no_database_is_told,
            the_file_is_for_its_owner_alone,
            other_programs_may_use_the_file_meanwhile;
        Postgres leases: a_killed_session_gives_its_lock_back;
        Postgres sessions:
            a_killed_session_is_heard_of_at_once,
            waiting_for_a_lock_holds_up_no_cleaning,
            no_time_limit_ends_waiting_or_holding,
            a_lost_database_ends_the_waiting,
            ending_the_sessions_of_a_namesake_spares_ones_own;
        Postgres opening:
            a_wrong_password_and_a_missing_database_are_told_apart,
            tls_is_spoken_where_the_url_asks_for_it;
        Postgres outage: a_restarted_database_is_found_again;
    };
    let wanted: Vec<(On, &str, Case)> = cases.into_iter().filter(|(_, name, _)| name.contains(&filter)).collect();
    let mut failed = Vec::new();

    for (_, name, case) in wanted.iter().filter(|(on, ..)| *on != On::Postgres) {
        let place = Place::Sqlite { folder: TempDir::new().expect("a temporary directory") };
        run(&runtime, "sqlite", name, *case, place, &mut failed);
    }
    match Postgres::start() {
        Ok(Some(server)) => {
            let server = Arc::new(Mutex::new(server));
            for (nth, (_, name, case)) in wanted.iter().filter(|(on, ..)| *on != On::Sqlite).enumerate() {
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
