//! What moderators do (XEP-0045 §8): one use case a file. The subject (§8.1) is spoken, so it lives with
//! `occupant/speak`; who may set it is in `privilege`.

mod kick;
mod retract;
mod voice;
