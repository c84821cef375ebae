//! Sessions by name: the database is told which node and which domain a session is for, so that whoever takes over
//! can end those of a holder that was stopped in the middle of a transaction.

use super::error::StoreError;
use super::session::Statement;
use super::{SqlStore, key};

/// PostgreSQL cuts names of sessions off after so many bytes.
const LABEL_BYTES_MAX: usize = 63;

impl SqlStore {
    /// The same database with connections of its own, told to the database as those of `node` for `domain`.
    #[must_use]
    pub fn named(&self, node: &str, domain: &str) -> SqlStore {
        SqlStore::over(self.engine.labelled(&label(node, domain)), self.answer)
    }

    /// Ends the sessions of `node` for `domain`, those of this store and of stores named from
    /// it excepted; how many. What they had not committed is undone, and their session lock is free. SQLite has no
    /// sessions to end: 0.
    pub async fn end_sessions(&self, node: &str, domain: &str) -> Result<u64, StoreError> {
        let label = label(node, domain);
        self.bounded(async { self.keeper().await?.end_sessions(&*self.engine, &label).await }).await
    }

    /// The sessions of `node` for `domain` that the database has now, by number. SQLite knows of none.
    pub async fn sessions_of(&self, node: &str, domain: &str) -> Result<Vec<i64>, StoreError> {
        let Some(statement) = self.engine.dialect().sessions else { return Ok(Vec::new()) };
        let label = label(node, domain);
        let listed =
            async { self.watcher().await?.fetch(Statement::on("sessions", statement), &[label.as_str().into()]).await };
        let rows = self.bounded(listed).await?;
        Ok(rows.into_iter().filter_map(|mut row| row.int().ok()).collect())
    }
}

/// What a session is called. Names too long, or of other than plain characters, which the server would replace, are
/// told apart by a hash.
fn label(node: &str, domain: &str) -> String {
    let whole = format!("tandem-muc {node} {domain}");
    if whole.len() <= LABEL_BYTES_MAX && whole.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return whole;
    }
    let hash = key::of_text(&whole);
    let hash = format!("~{:016x}", u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes")));
    let plain = whole.chars().map(|c| if (' '..='~').contains(&c) { c } else { '_' });
    plain.take(LABEL_BYTES_MAX - hash.len()).chain(hash.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_fit_and_differ() {
        assert_eq!(label("a", "conference.example.org"), "tandem-muc a conference.example.org");
        let long = "x".repeat(80);
        let labels =
            [label("a", &format!("{long}.one")), label("a", &format!("{long}.two")), label("ä", "é"), label("ö", "è")];
        for (nth, one) in labels.iter().enumerate() {
            assert!(one.len() <= LABEL_BYTES_MAX && one.is_ascii(), "{one}");
            assert!(labels[..nth].iter().all(|other| other != one), "{one}");
        }
    }
}
