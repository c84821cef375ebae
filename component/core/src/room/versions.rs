//! Versions of the affiliation lists (XEP-0463 v0.2.0): each change of somebody's affiliation makes a new one, and the last
//! changes are remembered, so that who comes back hears what is different and nothing else.

use std::collections::{BTreeSet, VecDeque};

use crate::name::BareJid;
use crate::record::RELISTED_MAX;

/// The last changes, oldest first; their versions follow each other without gaps.
#[derive(Debug, Default)]
pub(super) struct Versions {
    changes: VecDeque<(i64, BareJid)>,
}

impl Versions {
    pub(super) fn restored(changes: Vec<(i64, BareJid)>) -> Versions {
        Versions { changes: changes.into() }
    }

    pub(super) fn push(&mut self, version: i64, who: BareJid) {
        self.changes.push_back((version, who));
        while self.changes.front().is_some_and(|(oldest, _)| *oldest <= version - RELISTED_MAX) {
            self.changes.pop_front();
        }
    }

    /// The version now; 0 as long as nothing has changed.
    pub(super) fn current(&self) -> i64 {
        self.changes.back().map_or(0, |(version, _)| *version)
    }

    /// Whose affiliation has changed since; `None` where that is not known any more.
    pub(super) fn since(&self, version: i64) -> Option<BTreeSet<&BareJid>> {
        let oldest = self.changes.front().map_or(1, |(version, _)| *version);
        let is_known = (oldest - 1..=self.current()).contains(&version);
        is_known.then(|| self.changes.iter().filter(|(of, _)| *of > version).map(|(_, who)| who).collect())
    }

    pub(super) fn entries(&self) -> Vec<(i64, BareJid)> {
        self.changes.iter().cloned().collect()
    }
}
