//! Protocols rooms speak beside XEP-0045: data forms, service discovery, paging.

pub mod disco;
pub mod form;
pub mod paging;
