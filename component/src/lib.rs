//! The shell of Tandem MUC: everything that touches the world.
//!
//! Floors, ground first: `config` `fail` `telemetry` · `store` `stream` · `journal` `relay` · `shard` · `reign` · `pair` · `service` ·
//! `command` · `cli`.
//! The engines are in the crate `tandem-muc-core`.

pub mod cli;
pub mod command;
pub mod config;
mod fail;
pub mod journal;
pub mod pair;
pub mod reign;
pub mod relay;
pub mod service;
pub mod shard;
pub mod store;
pub mod stream;
pub mod telemetry;
