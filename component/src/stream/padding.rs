//! White space after a burst, so that no server sits on our last words.
//!
//! COMPAT(expat, 2026): since its fix for CVE-2023-52425 the parser of Prosody and ejabberd puts a tag that came in
//! pieces aside until twice as much has come, and older servers cannot turn that off. A tag is cut where the server's
//! read ends; if little follows, it and all behind it wait for the next words of anybody, and a stranger's 20 KB
//! attribute, reflected, would hold up everyone. White space between stanzas means nothing (RFC 6120 §4.6.1).

use memchr::memchr;

/// Servers read at least so much at once: what is shorter comes in one piece.
const READ_BYTES: usize = 4096;
/// Longer tags than this do not get through the framer, so we have none to reflect.
const PADDING_MAX: usize = 64 * 1024;

/// What was written since the last rest, as far as it matters for padding.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    bytes: usize,
    longest_tag: usize,
}

impl Burst {
    /// Counts a stanza that was written `times`, `text` being all of it but the address.
    pub(crate) fn count(&mut self, text: [&str; 2], times: usize) {
        let [head, tail] = text.map(str::as_bytes);
        self.bytes = self.bytes.saturating_add((head.len() + tail.len()).saturating_mul(times));
        let first = head.len() + memchr(b'>', tail).unwrap_or(tail.len());
        self.longest_tag = self.longest_tag.max(first).max(longest_tag(tail));
    }

    /// At rest: how much white space makes the server look at everything; counting starts anew.
    pub(crate) fn padding(&mut self) -> usize {
        let burst = std::mem::take(self);
        if burst.bytes <= READ_BYTES { 0 } else { (2 * burst.longest_tag).min(PADDING_MAX) }
    }
}

/// The longest stretch from `<` to `>`; rendered text has neither outside of tags.
fn longest_tag(text: &[u8]) -> usize {
    let (mut rest, mut longest) = (text, 0);
    while let Some(from) = memchr(b'<', rest) {
        let length = memchr(b'>', &rest[from..]).unwrap_or(rest.len() - from - 1) + 1;
        longest = longest.max(length);
        rest = &rest[from + length..];
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_twice_its_longest_tag() {
        let mut burst = Burst::default();
        let tail = format!("'><x a='{}'/>{}</message>", "y".repeat(5_000), "text ".repeat(4_000));
        burst.count(["<message to='", &tail], 1);
        assert_eq!(burst.padding(), 2 * "<x a=''/>".len() + 10_000);
        assert_eq!(burst.padding(), 0, "once is enough");
    }

    #[test]
    fn what_a_server_reads_at_once_needs_none() {
        let mut burst = Burst::default();
        burst.count(["<message to='", "'><body>hello</body></message>"], 10);
        assert_eq!(burst.padding(), 0);
        burst.count(["<message to='", "'><body>hello</body></message>"], 1_000);
        assert_eq!(burst.padding(), 2 * 14);
    }
}
