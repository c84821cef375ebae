//! Connections between nodes and server: in order, late, and cut in the middle.

use std::collections::VecDeque;

use tandem_muc_core::relay::Link;

use crate::node::{Down, Up};

/// A stream of a node, in one of its lives.
pub(crate) type Line = (usize, u32, u64);

#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) link: Link,
    up: VecDeque<(u64, Up)>,
    down: VecDeque<(u64, Down)>,
    up_from: u64,
    down_from: u64,
    /// One end is gone: nothing more is written from it.
    is_up_closed: bool,
    is_down_closed: bool,
}

impl Wire {
    pub(crate) fn new(link: Link) -> Wire {
        let (up, down) = (VecDeque::new(), VecDeque::new());
        Wire { link, up, down, up_from: 0, down_from: 0, is_up_closed: false, is_down_closed: false }
    }

    /// Written by the node; when it arrives, if it does.
    pub(crate) fn write_up(&mut self, earliest: u64, up: Up) -> Option<u64> {
        if self.is_up_closed {
            return None;
        }
        self.is_up_closed = matches!(up, Up::End | Up::Closed);
        self.up_from = self.up_from.max(earliest);
        self.up.push_back((self.up_from, up));
        Some(self.up_from)
    }

    pub(crate) fn write_down(&mut self, earliest: u64, down: Down) -> Option<u64> {
        if self.is_down_closed {
            return None;
        }
        self.is_down_closed = matches!(down, Down::Closed);
        self.down_from = self.down_from.max(earliest);
        self.down.push_back((self.down_from, down));
        Some(self.down_from)
    }

    pub(crate) fn arrived_up(&mut self, now: u64) -> Option<Up> {
        let is_due = self.up.front().is_some_and(|(at, _)| *at <= now);
        if is_due { self.up.pop_front().map(|(_, up)| up) } else { None }
    }

    pub(crate) fn arrived_down(&mut self, now: u64) -> Option<Down> {
        let is_due = self.down.front().is_some_and(|(at, _)| *at <= now);
        if is_due { self.down.pop_front().map(|(_, down)| down) } else { None }
    }

    pub(crate) fn on_the_way_up(&self) -> usize {
        self.up.len()
    }

    pub(crate) fn unread(&self) -> usize {
        self.down.len()
    }

    /// The node's end is gone: of what it wrote the first `kept` arrive, of what was written to it nothing.
    pub(crate) fn cut(&mut self, kept: usize) {
        self.up.truncate(kept);
        self.down.clear();
        (self.is_up_closed, self.is_down_closed) = (false, true);
    }
}
