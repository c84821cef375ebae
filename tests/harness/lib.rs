//! What the tests share: throw-away servers on loopback, ended when dropped; what an archive is.

pub mod archive;
pub mod loopback;
pub mod postgres;
