//! What the tests share: throw-away servers on loopback, ended when dropped.

pub mod loopback;
pub mod postgres;
