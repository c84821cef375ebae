//! What must hold, whatever goes wrong; the first thing that does not ends the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_muc_core::name::BareJid;
use tandem_muc_core::record::Message;

use crate::stanzas::{ROOMS, place_of};

/// Where a message is in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Archived {
    pub(crate) place: usize,
    pub(crate) seq: i64,
}

/// What a client sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) archived: u32,
    pub(crate) errors: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) broken: Option<String>,
    archive: BTreeMap<String, Archived>,
    lost: BTreeSet<String>,
    counts: [i64; ROOMS.len()],
    pub(crate) sent: BTreeMap<String, Sent>,
    committers: BTreeMap<i64, usize>,
    /// The highest epoch anybody was given, and the highest since the last leases ran out in order.
    epoch_max: i64,
    /// Whoever has a lower one has had no lease for longer than a margin.
    is_over_below: i64,
    /// The database forgets in this run: an epoch that nobody remembers may come again.
    forgets: bool,
    /// Leases may end early in this run.
    ends_early: bool,
    /// Commits that a holder knew of are gone, and it has not said so; in which of its lives.
    pub(crate) unreported: Option<(usize, u32)>,
    pub(crate) left: BTreeSet<(usize, usize)>,
}

impl Truth {
    pub(crate) fn new(ends_early: bool, forgets: bool) -> Truth {
        Truth { forgets, ends_early, ..Truth::default() }
    }

    pub(crate) fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub(crate) fn acquired(&mut self, now: u64, node: usize, epoch: i64, is_by_time: bool) {
        if epoch <= self.epoch_max && !self.forgets {
            self.breaks(format!("node {node} was given epoch {epoch} at {now}, {} was given before", self.epoch_max));
        }
        self.epoch_max = self.epoch_max.max(epoch);
        // Who comes after cannot know.
        self.unreported = self.unreported.filter(|(knows, _)| *knows == node);
        if is_by_time && !self.ends_early {
            self.is_over_below = epoch;
        }
    }

    pub(crate) fn handed(&mut self, epoch: i64) {
        self.epoch_max = self.epoch_max.max(epoch);
    }

    pub(crate) fn committed(&mut self, now: u64, node: usize, epoch: i64, seq: i64, given: i64) {
        if epoch < given {
            self.breaks(format!("node {node} wrote group {seq} at {now} in epoch {epoch}, and {given} had begun"));
        }
        let other = *self.committers.entry(epoch).or_insert(node);
        if other != node {
            self.breaks(format!("both nodes wrote in epoch {epoch}"));
        }
    }

    pub(crate) fn archived(&mut self, now: u64, room: &BareJid, message: &Arc<Message>) {
        let Some(place) = place_of(room.as_jid()) else { return };
        let seq = message.seq.0;
        self.counts[place] += 1;
        if self.counts[place] != seq {
            self.breaks(format!("message {seq} of {room} is number {} in the archive at {now}", self.counts[place]));
        }
        self.archive.insert(message.archive_id.clone(), Archived { place, seq });
        let Some(id) = &message.origin_id else { return };
        let sent = self.sent.entry(id.clone()).or_default();
        sent.archived += 1;
        if sent.archived > 1 {
            self.breaks(format!("message {id} is in the archive twice, the second time at {now}"));
        }
    }

    /// The database went back: this is what it has now. How many messages each room has.
    pub(crate) fn forgot(&mut self, messages: &BTreeMap<BareJid, Vec<(i64, Arc<Message>)>>) -> [i64; ROOMS.len()] {
        let before: Vec<String> = self.archive.keys().cloned().collect();
        self.archive.clear();
        self.counts = [0; ROOMS.len()];
        for sent in self.sent.values_mut() {
            sent.archived = 0;
        }
        for (room, messages) in messages {
            for (_, message) in messages {
                self.archived(0, room, message);
            }
        }
        let is_gone = |id: &String| !self.archive.contains_key(id);
        self.lost.extend(before.into_iter().filter(is_gone));
        // Epochs that nobody remembers may be given again to the same node or the other.
        self.committers.clear();
        self.counts
    }

    /// A node says that the database lost something.
    pub(crate) fn reported(&mut self, node: usize) {
        self.unreported = None;
        if !self.forgets {
            self.breaks(format!("node {node} reports a loss where nothing was lost"));
        }
    }

    /// A node writes words to its stream.
    pub(crate) fn spoke(&mut self, now: u64, node: usize, epoch: i64) {
        if epoch < self.is_over_below {
            let over = self.is_over_below;
            self.breaks(format!("node {node} speaks in epoch {epoch} at {now}; its lease ran out, epoch {over} is on"));
        }
    }

    /// A client hears a message: where it is in the archive; nothing if the archive lost it.
    pub(crate) fn heard(&mut self, now: u64, client: usize, id: &str) -> Option<Archived> {
        let found = self.archive.get(id).copied();
        if found.is_none() && !self.lost.contains(id) {
            self.breaks(format!("client {client} heard message {id} at {now}, which is not in the archive"));
        }
        found
    }

    pub(crate) fn count(&self, place: usize) -> i64 {
        self.counts[place]
    }

    pub(crate) fn refused(&mut self, id: &str) {
        self.sent.entry(id.to_owned()).or_default().errors += 1;
    }

    pub(crate) fn sees_leaving(&mut self, now: u64, client: usize, who: usize, place: usize) {
        if !self.left.contains(&(who, place)) {
            self.breaks(format!("client {client} saw client {who} leave {} at {now}, who never did", ROOMS[place]));
        }
    }

    /// After everything: each message is in the archive or was refused, exactly one of both.
    pub(crate) fn check_sent(&mut self) {
        let odd = self.sent.iter().find(|(_, sent)| sent.archived + u32::from(sent.errors > 0) != 1);
        if let Some((id, Sent { archived, errors })) = odd {
            let what = format!("message {id} is in the archive {archived} times and was refused {errors} times");
            self.breaks(what);
        }
    }
}
