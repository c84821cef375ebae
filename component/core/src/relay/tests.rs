//! The relay's rules, one by one, and what holds for any sequence of events.
