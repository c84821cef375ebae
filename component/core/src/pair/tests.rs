//! The walk: every duty meets every event; and the stories of one takeover and one move, step by step.
