//! What the database's own settings mean for the promises made here: for `check`, before they are needed.

use super::SqlStore;
use super::error::StoreError;
use super::session::Statement;

/// A setting of the database that bears on what is promised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hint {
    /// As the database calls it.
    pub setting: String,
    /// As it is.
    pub value: String,
    /// What that endangers and what to do; `None` where it is as it should be.
    pub concern: Option<String>,
}

impl SqlStore {
    /// The settings that bear on durability, takeover and room for connections.
    pub async fn hints(&self) -> Result<Vec<Hint>, StoreError> {
        self.bounded(async {
            let rows =
                self.watcher().await?.fetch(Statement::on("settings", self.engine.dialect().settings), &[]).await?;
            let read = |mut row: super::connection::Row| -> Result<Hint, String> {
                let (setting, value) = (row.text()?, row.text_or_empty()?);
                let concern = concern(&setting, &value);
                Ok(Hint { setting, value, concern })
            };
            rows.into_iter()
                .map(|row| read(row).map_err(|what| StoreError::Damaged { table: "settings", what }))
                .collect()
        })
        .await
    }
}

/// What is wrong with a setting, and what to do.
fn concern(setting: &str, value: &str) -> Option<String> {
    let said = match (setting, value) {
        ("fsync" | "full_page_writes", "off") => "a power cut may damage the database; set it to on".to_owned(),
        ("synchronous_commit", "off") => {
            "a crash of the database may lose what was spoken already; set it to on".to_owned()
        }
        ("synchronous_commit", "local" | "remote_write") => {
            "a failover to a standby may lose what was spoken already; set it to on".to_owned()
        }
        ("synchronous_standby_names", "") => {
            "no standby is synchronous: should the database ever fail over to one, what was spoken last may be lost"
                .to_owned()
        }
        ("in_recovery", "on") => "this is a standby, which takes no writes; point store.url to the primary".to_owned(),
        ("free_connections", number) if number.parse::<i64>().is_ok_and(|free| free < FREE_MIN) => {
            format!("each domain of a node takes up to {FREE_MIN} connections; raise max_connections")
        }
        ("journal_mode", mode) if mode != "wal" => {
            "readers would wait for writers; no other program should change it from wal".to_owned()
        }
        ("synchronous", level) if !matches!(level, "2" | "3") => {
            "a power cut may lose what was spoken already; it should be 2 (FULL)".to_owned()
        }
        _ => return None,
    };
    Some(said)
}

/// The connections a domain takes at most: writer, keeper, watcher, readers and the session lock, and one for luck.
const FREE_MIN: i64 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_endangers_something_is_a_concern() {
        for (setting, value) in
            [("fsync", "on"), ("synchronous_commit", "on"), ("free_connections", "90"), ("synchronous", "2")]
        {
            assert_eq!(concern(setting, value), None, "{setting} = {value}");
        }
        for (setting, value) in
            [("fsync", "off"), ("free_connections", "3"), ("in_recovery", "on"), ("synchronous", "1")]
        {
            assert!(concern(setting, value).is_some(), "{setting} = {value}");
        }
    }
}
