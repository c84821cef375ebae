//! Who holds the domain: the highest epoch, the database of whoever is there, one stream.

use super::event::{Action, Attach, Closing, Link, Reason, Refusal, Welcome};
use super::{Holder, Relay};
use crate::time::Moment;

impl<T: Clone> Relay<T> {
    pub(super) fn attach(&mut self, now: Moment, link: Link, attach: Attach, out: &mut Vec<Action<T>>) {
        if !self.links.contains(&link) {
            return;
        }
        if let Some((reason, sentence)) = self.refusal(link, &attach) {
            out.push(Action::Refuse(link, Refusal { reason, highest: self.highest, sentence }));
            return;
        }
        self.highest = self.highest.max(attach.epoch);
        if self.server.is_up() {
            self.install(now, link, attach, out);
            return;
        }
        self.waiting.retain(|(waiting, _)| *waiting != link);
        self.waiting.push((link, attach));
        if self.server.begin() {
            out.push(Action::Reach);
        }
    }

    fn refusal(&self, link: Link, attach: &Attach) -> Option<(Reason, String)> {
        let Attach { epoch, node, database, .. } = attach;
        if self.is_stopping {
            return Some((Reason::Server, "the relay is stopping".to_owned()));
        }
        let other = self.holder.as_ref().filter(|holder| holder.link != link);
        if let Some(Holder { node: holder, .. }) = other.filter(|_| self.database.as_ref() != Some(database)) {
            let sentence = format!("node {holder} is attached from another database than that of node {node}");
            return Some((Reason::Database, sentence));
        }
        if *epoch < self.highest {
            return Some((Reason::Epoch, format!("epoch {epoch} is over, epoch {} was seen", self.highest)));
        }
        // The same node in the same epoch is the same reign on a new stream: its old one is dead and does not know yet.
        let rival = other.filter(|holder| holder.epoch == *epoch && holder.node != *node)?;
        Some((Reason::Epoch, format!("epoch {epoch} is held by node {}", rival.node)))
    }

    /// From now `link` holds the domain, and nobody else speaks.
    fn install(&mut self, now: Moment, link: Link, attach: Attach, out: &mut Vec<Action<T>>) {
        let Attach { epoch, node, database, handled, has_others } = attach;
        if let Some((_, numbers)) = handled.filter(|(boot, _)| *boot == self.boot) {
            self.held.forget(&numbers);
        }
        if self.database.as_ref() != Some(&database) {
            // Groups are numbered by the database.
            (self.said, self.proven) = (None, None);
            self.database = Some(database);
        }
        self.has_others = has_others;
        let replaced = self.release(now);
        if let Some(old) = replaced.as_ref().filter(|old| old.link != link) {
            self.forget(old.link);
            out.push(Action::Close(old.link, Closing::Replaced { by: node.clone(), epoch }));
        }
        let next = self.held.first().unwrap_or(self.next);
        out.push(Action::Welcome(
            link,
            Welcome {
                node: node.clone(),
                epoch,
                boot: self.boot.clone(),
                next,
                mark: self.said.map(|(_, seq)| seq),
                said_in: self.said.map(|(epoch, _)| epoch),
                held: self.held.len(),
                bounced: self.bounced_since,
                waited_ms: self.free_since.take().map_or(0, |since| now.0.saturating_sub(since.0)),
                replaced: replaced.map(|old| (old.node, old.epoch)),
            },
        ));
        self.retired.remove(&link);
        self.holder = Some(Holder { link, epoch, node, expected: next });
        self.counts.attached += 1;
    }
}
