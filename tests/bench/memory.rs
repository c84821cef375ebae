//! Memory: what loaded rooms and their occupants weigh. Idle persistent rooms are not loaded and weigh nothing.

use std::hint::black_box;

use crate::engine::{occupied, room_named};
use crate::table::Table;

/// Runs it and adds its rows.
pub(crate) fn run(table: &mut Table) {
    table.head("memory (resident set, by difference)");
    let Some(before) = resident_kb() else {
        return table.skipped("memory", "no /proc/self/statm on this system");
    };
    let full: Vec<_> = (0..5).map(|_| occupied(1_000)).collect();
    let after = resident_kb().unwrap_or(before);
    table.row("1,000 occupants", &format!("{} KB", after.saturating_sub(before) / 5), "in one room, a session each");
    let before = after;
    let rooms: Vec<_> = (0..50_000).map(|nth| room_named(&format!("room{nth}"))).collect();
    let after = resident_kb().unwrap_or(before);
    let each = format!("{} KB", after.saturating_sub(before) / 50);
    table.row("1,000 rooms in memory, nobody inside", &each, "idle ones leave memory after idle_seconds: then 0 KB");
    black_box((full, rooms));
}

/// Resident memory of this process, in KB.
fn resident_kb() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4)
}
