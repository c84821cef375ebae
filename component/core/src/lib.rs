//! The engines of Tandem MUC: pure decisions, no clock, no chance, no IO, no async, no hash order.
//!
//! Floors, ground first; a module uses lower floors and its own folder, never a neighbour:
//! `name` `time` `ns` · `stanza` · `protocol` · `muc` · `record` · the engines (`room`, `pace`, `pair`, `relay`).
//! Whoever runs an engine brings time and chance in ([`time::Now`]), makes its records durable, and only
//! then speaks its words.

pub mod muc;
pub mod name;
pub mod ns;
pub mod pace;
pub mod pair;
pub mod protocol;
pub mod record;
pub mod relay;
pub mod room;
pub mod stanza;
pub mod time;
