//! What can be asked of a relay: who holds the domain, how much is kept, what happened so far.

use super::Relay;

/// What happened so far, in stanzas.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Came in and got a number.
    pub numbered: u64,
    /// Sent to a holder, replays included.
    pub forwarded: u64,
    /// Of these, sent before to an earlier holder, or to the same one under an earlier attachment.
    pub replayed: u64,
    /// Answered with an error because nobody took them in time.
    pub bounced: u64,
    /// Left out because nobody took them in time and nothing may answer them: errors and results.
    pub dropped: u64,
    /// Attachments granted.
    pub attached: u64,
}

/// Who holds the domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HolderSeen<'a> {
    /// The node's name.
    pub node: &'a str,
    /// The epoch it attached with.
    pub epoch: u64,
    /// Stanzas sent to it and not yet acknowledged.
    pub unacknowledged: usize,
}

impl<T: Clone> Relay<T> {
    /// This boot's word.
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// The highest epoch seen; 0 before the first.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Who holds the domain.
    pub fn holder(&self) -> Option<HolderSeen<'_>> {
        let holder = self.holder.as_ref()?;
        Some(HolderSeen { node: &holder.node, epoch: holder.epoch, unacknowledged: self.held.sent() })
    }

    /// Nodes that are linked and do not hold the domain.
    pub fn standbys(&self) -> usize {
        self.links.len() - usize::from(self.holder.is_some())
    }

    /// Stanzas kept, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        (self.held.len(), self.held.bytes())
    }

    /// The highest group said in full, as far as it is known to have reached the server.
    pub fn mark(&self) -> Option<i64> {
        self.said.map(|(_, seq)| seq)
    }

    /// Whether the stream to the server is open.
    pub fn is_server_up(&self) -> bool {
        self.server.is_up()
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the holder has handled all that was sent to it: a good moment to stop.
    pub fn is_settled(&self) -> bool {
        self.held.sent() == 0
    }
}
