//! The shell of Tandem MUC: everything that touches the world.
//!
//! Floors, ground first: `config` `telemetry` · `store` `stream` · `journal` · `shard` · `service` · `cli`.
//! The engines are in the crate `tandem-muc-core`.

pub mod cli;
pub mod config;
pub mod journal;
pub mod pair;
pub mod reign;
pub mod service;
pub mod shard;
pub mod store;
pub mod stream;
pub mod telemetry;
