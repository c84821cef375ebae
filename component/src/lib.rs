//! The shell of Tandem MUC: everything that touches the world.
//!
//! Floors, ground first: `config` `telemetry` · `store` `stream` · `journal` · `shard` · `service` · `cli`.
//! The engines are in the crate `tandem-muc-core`.

pub mod config;
pub mod telemetry;
