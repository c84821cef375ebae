//! What a reign tells the pair by itself: how its stream stands, and whether commits go through.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tandem_muc_core::pair::Level;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::News;
use crate::journal::Health;
use crate::stream::{Path, PathState, StreamState};

/// Of one relay nothing is told for so long after something was: one that comes and goes would fill the history.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The news of a state of the stream, if there is any.
pub(super) fn news_of(state: &StreamState) -> Option<News> {
    match state {
        StreamState::Connecting { last_trouble: Some(trouble) } => Some(News::Detached(trouble.to_string())),
        StreamState::Attached { relay: Some(_), .. } => Some(News::Attached(Level::Relay)),
        StreamState::Attached { relay: None, .. } => Some(News::Attached(Level::Bare)),
        StreamState::Outdated { highest } => Some(News::Outdated(i64::try_from(*highest).unwrap_or(i64::MAX))),
        StreamState::Connecting { last_trouble: None } | StreamState::Closed => None,
    }
}

/// Tells each change of the stream.
pub(super) async fn tell_stream(mut state: watch::Receiver<StreamState>, news: mpsc::UnboundedSender<News>) {
    loop {
        let told = news_of(&state.borrow_and_update());
        if told.is_some_and(|told| news.send(told).is_err()) || state.changed().await.is_err() {
            return;
        }
    }
}

/// Tells trouble with commits, and its end.
pub(super) async fn tell_health(mut health: watch::Receiver<Health>, news: mpsc::UnboundedSender<News>) {
    let mut was_away = false;
    loop {
        let told = match *health.borrow_and_update() {
            Health::Fine => std::mem::take(&mut was_away).then_some(News::Commits(None)),
            Health::Late | Health::Away => {
                was_away = true;
                Some(News::Commits(Some("the database takes no commits".to_owned())))
            }
            Health::Over { by } => Some(News::Fenced(by.0)),
        };
        if told.is_some_and(|told| news.send(told).is_err()) || health.changed().await.is_err() {
            return;
        }
    }
}

/// Tells which of several relays is lost and which is back. Of the only one the stream's own state says as much.
pub(super) async fn tell_relays(mut paths: watch::Receiver<Vec<Path>>, news: mpsc::UnboundedSender<News>) {
    // Of each: whether it was told to be lost, and when.
    let mut told: BTreeMap<String, (bool, Instant)> = BTreeMap::new();
    loop {
        let now = paths.borrow_and_update().clone();
        for Path { relay, state } in now.into_iter().filter(|_| paths.borrow().len() > 1) {
            let lost = match state {
                PathState::Away { trouble } => Some(trouble.to_string()),
                PathState::Heard { .. } | PathState::Spoken { .. } => None,
                PathState::Untried => continue,
            };
            let (was_lost, is_due) = match told.get(&relay) {
                Some((was_lost, at)) => (*was_lost, at.elapsed() >= TELL_EVERY),
                None => (false, true),
            };
            if was_lost == lost.is_some() || !is_due {
                continue;
            }
            told.insert(relay.clone(), (lost.is_some(), Instant::now()));
            if news.send(News::Relay { relay, lost }).is_err() {
                return;
            }
        }
        tokio::select! {
            changed = paths.changed() => if changed.is_err() { return },
            () = sleep(TELL_EVERY), if !told.is_empty() => {}
        }
    }
}
