//! `make bench`: one table of figures, each beside what it is to be held against in the same run. Speed claims come
//! from here, not from timed tests. An argument picks sections by name: engine, fanout, commit, reflect, enter, relay,
//! memory.

mod commit;
mod engine;
mod fanout;
mod memory;
mod node;
mod reflect;
mod relay;
mod table;

use table::Table;

fn main() {
    let picked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |name: &str| picked.is_empty() || picked.iter().any(|pick| pick == name);
    let mut table = Table::default();
    if wants("memory") {
        memory::run(&mut table);
    }
    if wants("engine") {
        engine::run(&mut table);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if wants("fanout") {
            fanout::run(&mut table).await;
        }
        if wants("relay") {
            relay::run(&mut table).await;
        }
        if wants("commit") {
            commit::run(&mut table).await;
        }
        if wants("enter") {
            reflect::enter(&mut table).await;
        }
        if wants("reflect") {
            reflect::run(&mut table).await;
        }
    });
    table.close();
}
