//! The relay beside the XMPP server: what is numbered, kept, replayed and refused.

mod numbers;

pub use numbers::{Numbers, NumbersError, RANGES_MAX};
