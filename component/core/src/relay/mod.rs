//! The relay beside the XMPP server: what is numbered, kept, replayed, bounced and refused. Events in, actions out; no
//! socket, no clock, no text of a stanza is ever looked at.
//!
//! To the server the relay is the component of one domain, to the nodes it is the server. Inbound stanzas are numbered
//! and kept until a node says that they are handled; whoever attaches next gets the rest. Of the nodes that are linked
//! one at most holds the domain: the one that attached last with the highest epoch. What older epochs say is not
//! passed on: this is the fence at the place where words leave.
//!
//! Whoever runs it asks [`Relay::speaks`] before passing on any word of a node, and takes what goes to the holder from
//! [`Relay::forward`], as fast as the holder reads and no faster.

mod attach;
mod event;
mod held;
mod numbers;
mod server;
mod view;

use std::collections::{BTreeSet, VecDeque};

pub use event::{Action, Attach, Closing, Event, Link, Reason, Refusal, Welcome};
pub use numbers::{Numbers, NumbersError, RANGES_MAX};
pub use view::{Counts, HolderSeen};

use crate::time::Moment;
use held::{Held, Kept};
use server::Server;

/// How much is kept, and how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Stanzas kept at most. Default 50,000.
    pub stanzas_max: usize,
    /// Bytes kept at most. Default 64 MiB.
    pub bytes_max: usize,
    /// How long a stanza waits while no node is attached, in milliseconds. Default 30 s.
    pub wait_ms: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { stanzas_max: 50_000, bytes_max: 64 * 1024 * 1024, wait_ms: 30_000 }
    }
}

/// Marks on their way to a holder that does not read; the later ones cover those left out.
const MARKS_MAX: usize = 1_024;

/// The relay of one domain. `T` is a stanza as it came: cheap to clone.
#[derive(Debug)]
pub struct Relay<T> {
    boot: String,
    bounds: Bounds,
    links: BTreeSet<Link>,
    holder: Option<Holder>,
    /// Links that held the domain and gave it up: what they handled is still news.
    retired: BTreeSet<Link>,
    /// Attachments that wait for the server.
    waiting: Vec<(Link, Attach)>,
    highest: u64,
    /// The database of whoever attached last.
    database: Option<String>,
    held: Held<T>,
    /// The number of the next stanza that comes in.
    next: u64,
    /// Returned marks for the holder, each with the number that comes behind it.
    marks: VecDeque<(u64, T)>,
    /// The last group said in full, and the epoch it was said in.
    said: Option<(u64, i64)>,
    /// The last group that a returned mark proves to have been handed on.
    proven: Option<i64>,
    server: Server,
    /// Since when nobody holds the domain that somebody held.
    free_since: Option<Moment>,
    bounced_since: u64,
    /// Whether whoever attached last has other relays to be reached by.
    has_others: bool,
    counts: Counts,
    is_stopping: bool,
}

#[derive(Debug)]
struct Holder {
    link: Link,
    epoch: u64,
    node: String,
    /// The number that the node takes the next stanza to have.
    expected: u64,
}

/// One stanza on its way to the holder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward<T> {
    /// To whom.
    pub link: Link,
    /// The number, where the holder cannot know it by counting.
    pub at: Option<u64>,
    /// The stanza.
    pub stanza: T,
}

impl<T: Clone> Relay<T> {
    /// The relay of one domain, in its boot `boot`: a word never used before.
    pub fn new(boot: impl Into<String>, bounds: Bounds) -> Relay<T> {
        Relay {
            boot: boot.into(),
            bounds,
            links: BTreeSet::new(),
            holder: None,
            retired: BTreeSet::new(),
            waiting: Vec::new(),
            highest: 0,
            database: None,
            held: Held::default(),
            next: 1,
            marks: VecDeque::new(),
            said: None,
            proven: None,
            server: Server::default(),
            free_since: None,
            bounced_since: 0,
            has_others: false,
            counts: Counts::default(),
            is_stopping: false,
        }
    }

    /// Takes in what happened at `now` and appends what is to be done, in this order.
    pub fn handle(&mut self, now: Moment, event: Event<T>, out: &mut Vec<Action<T>>) {
        match event {
            Event::Opened(link) => {
                self.links.insert(link);
            }
            Event::Closed(link) => self.closed(now, link, out),
            Event::Attach(link, attach) => self.attach(now, link, attach, out),
            Event::Ack(link, numbers) => self.acknowledged(link, &numbers),
            Event::Said(link, seq) => self.said(link, seq),
            Event::Left(link) => self.left(now, link, out),
            Event::ServerUp => self.server_up(now, out),
            Event::ServerDown(why) => self.server_down(now, &why, out),
            Event::Stanza { stanza, bytes, is_answerable } => {
                self.keep(Kept { stanza, bytes, since: now, is_answerable }, out);
            }
            Event::Mark { epoch, seq, stanza } => self.mark_returned(epoch, seq, stanza),
            Event::Tick => self.tick(now, out),
            Event::Stopping => self.is_stopping = true,
            Event::Stopped => self.stopped(out),
        }
    }

    /// Whether what this link says is passed on to the server.
    pub fn speaks(&self, link: Link) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.link == link)
    }

    /// The next stanza for the holder, in order; to be written before anything else is handled.
    pub fn forward(&mut self) -> Option<Forward<T>> {
        let holder = self.holder.as_mut().filter(|_| !self.is_stopping)?;
        let upcoming = self.held.upcoming();
        let mark_first = self.marks.front().is_some_and(|(before, _)| upcoming.is_none_or(|number| *before <= number));
        if mark_first {
            let (_, stanza) = self.marks.pop_front()?;
            return Some(Forward { link: holder.link, at: None, stanza });
        }
        let number = upcoming?;
        let (stanza, is_again) = self.held.send(number)?;
        let at = (number != holder.expected).then_some(number);
        holder.expected = number + 1;
        self.counts.forwarded += 1;
        self.counts.replayed += u64::from(is_again);
        Some(Forward { link: holder.link, at, stanza: stanza.clone() })
    }

    /// When the relay wants its next [`Event::Tick`].
    pub fn wake(&self) -> Option<Moment> {
        let bounce_at = self.held.oldest().and_then(|oldest| self.ends_at(oldest));
        [bounce_at, self.server.retry_at(), self.detaches_at()].into_iter().flatten().min()
    }

    fn closed(&mut self, now: Moment, link: Link, out: &mut Vec<Action<T>>) {
        self.left(now, link, out);
        self.forget(link);
    }

    fn forget(&mut self, link: Link) {
        self.links.remove(&link);
        self.retired.remove(&link);
        self.waiting.retain(|(waiting, _)| *waiting != link);
    }

    /// Gives up the domain, where `link` holds it.
    fn left(&mut self, now: Moment, link: Link, out: &mut Vec<Action<T>>) {
        if !self.speaks(link) {
            return;
        }
        self.retired.insert(link);
        self.release_and_tell(now, out);
    }

    fn release_and_tell(&mut self, now: Moment, out: &mut Vec<Action<T>>) {
        if let Some(Holder { epoch, node, .. }) = self.release(now) {
            out.push(Action::Holding { node, epoch, held: self.held.len() });
        }
    }

    fn release(&mut self, now: Moment) -> Option<Holder> {
        self.holder.as_ref()?;
        self.free_since = Some(now);
        self.bounced_since = 0;
        self.marks.clear();
        self.held.rewind();
        self.holder.take()
    }

    /// What a node has handled is done with, whoever holds the domain now.
    fn acknowledged(&mut self, link: Link, numbers: &Numbers) {
        if self.speaks(link) || self.retired.contains(&link) {
            self.held.forget(numbers);
        }
    }

    /// Numbers and keeps a stanza; what is too much then is bounced.
    fn keep(&mut self, kept: Kept<T>, out: &mut Vec<Action<T>>) {
        self.held.push(self.next, kept);
        self.next += 1;
        self.counts.numbered += 1;
        while self.held.len() > self.bounds.stanzas_max || self.held.bytes() > self.bounds.bytes_max {
            let Some(kept) = self.held.take_surplus() else { return };
            self.bounce(kept, out);
        }
    }

    fn bounce(&mut self, kept: Kept<T>, out: &mut Vec<Action<T>>) {
        if kept.is_answerable {
            self.counts.bounced += 1;
            self.bounced_since += 1;
            out.push(Action::Bounce(kept.stanza));
        } else {
            self.counts.dropped += 1;
        }
    }

    /// A lower group than before: the database went back, and counts its groups anew.
    fn said(&mut self, link: Link, seq: i64) {
        if let Some(holder) = self.holder.as_ref().filter(|holder| holder.link == link) {
            self.said = Some((holder.epoch, seq));
            self.proven = self.proven.min(Some(seq));
        }
    }

    /// A mark of an older epoch means nothing to the holder.
    fn mark_returned(&mut self, epoch: u64, seq: i64, stanza: T) {
        if self.holder.as_ref().is_none_or(|holder| holder.epoch != epoch) {
            return;
        }
        self.proven = Some(seq);
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back((self.next, stanza));
    }

    fn tick(&mut self, now: Moment, out: &mut Vec<Action<T>>) {
        while self.held.oldest().and_then(|oldest| self.ends_at(oldest)).is_some_and(|end| end <= now) {
            let Some(kept) = self.held.take_first() else { break };
            self.bounce(kept, out);
        }
        if self.detaches_at().is_some_and(|at| at <= now) {
            self.detach(out);
        }
        if self.server.take_retry(now) {
            out.push(Action::Reach);
        }
    }

    /// When waiting ends for a stanza; it does not while somebody holds the domain, or nobody could be told.
    fn ends_at(&self, kept: &Kept<T>) -> Option<Moment> {
        let from = kept.since.max(self.left_since()?);
        Some(Moment(from.0.saturating_add(self.bounds.wait_ms)))
    }

    /// Since when nobody holds the domain while the server is there.
    fn left_since(&self) -> Option<Moment> {
        let up_since = self.server.up_since().filter(|_| self.holder.is_none())?;
        Some(up_since.max(self.free_since.unwrap_or_default()))
    }

    fn bounce_all(&mut self, out: &mut Vec<Action<T>>) {
        while let Some(kept) = self.held.take_first() {
            self.bounce(kept, out);
        }
    }

    /// The end: whatever is kept is answered, every node is told.
    fn stopped(&mut self, out: &mut Vec<Action<T>>) {
        self.bounce_all(out);
        self.holder = None;
        self.close_all(&Closing::Stopping, out);
    }

    fn close_all(&mut self, why: &Closing, out: &mut Vec<Action<T>>) {
        out.extend(std::mem::take(&mut self.links).into_iter().map(|link| Action::Close(link, why.clone())));
        self.retired.clear();
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests;
