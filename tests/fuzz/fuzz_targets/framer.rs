//! Any bytes, divided into reads anyhow: the framer neither panics nor collects without bound, finds the same frames
//! as in one piece, and what it finds can be read as stanzas.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz framer` from the root of the repository.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_muc::stream::framer::{Framer, Limits};
use tandem_muc::stream::hear;

/// Small, so that the fuzzer reaches them.
const LIMITS: Limits = Limits { stanza_bytes: 200, depth: 5, elements: 8, attribute_bytes: 30, attributes: 4 };

fn frames<'a>(reads: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut framer = Framer::new(LIMITS, b"");
    let mut frames = Vec::new();
    for read in reads {
        framer.space().extend_from_slice(read);
        loop {
            match framer.frame() {
                Ok(Some(frame)) => {
                    frames.push(format!("{frame:?}"));
                    let _ = hear(frame, "muc.example.org");
                }
                Ok(None) => break,
                Err(malformed) => {
                    frames.push(malformed.to_string());
                    return frames;
                }
            }
        }
    }
    frames
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let whole = frames(std::iter::once(bytes));
    let divided = frames(bytes.chunks(usize::from(step).max(1)));
    assert_eq!(whole, divided);
});
