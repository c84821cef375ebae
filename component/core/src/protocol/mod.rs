//! Protocols rooms speak beside XEP-0045: data forms, service discovery, paging, vCards, ad-hoc commands.

pub mod command;
pub mod disco;
pub mod form;
pub mod paging;
pub mod vcard;
