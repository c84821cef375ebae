//! The vocabulary of XEP-0045: affiliations and roles (§5), status codes (§15.6), room configuration (§15.5.3).

mod affiliation;
mod blocked;
mod config;
pub mod option;
mod role;
mod status;

pub use affiliation::Affiliation;
pub use blocked::Blocked;
pub use config::{AllowPm, NickLock, RoleName, RoomConfig, Whois};
pub use role::Role;
pub use status::Status;
