//! Where the databases' tongues differ: placeholders, the clock, the first n rows, whether a table is there.
//! Every other statement is one text for all of them, with `?` for a value and `{…}` for what is here.

/// How one database says what the portable texts leave open.
pub(super) struct Dialect {
    /// The placeholder of the nth value, counted from 1.
    pub(super) placeholder: fn(usize) -> String,
    /// `{now_ms}`: milliseconds since 1970 UTC by the database's own clock, as they pass inside a transaction too.
    pub(super) now_ms: &'static str,
    /// `{first}`: at the end of a SELECT, gives the first ? rows.
    pub(super) first: &'static str,
    /// `{tables}`: the FROM clause of a SELECT that counts the tables called `muc_schema_version` within reach.
    pub(super) tables: &'static str,
    /// A SELECT of the database's name and version.
    pub(super) version: &'static str,
    /// A SELECT of the settings that bear on what is promised: name and value, both as text.
    pub(super) settings: &'static str,
    /// A SELECT of the numbers of the sessions that are called ?; none where sessions have no names.
    pub(super) sessions: Option<&'static str>,
}

impl Dialect {
    /// The text as this database understands it.
    pub(super) fn render(&self, portable: &str) -> String {
        let spelt =
            portable.replace("{now_ms}", self.now_ms).replace("{first}", self.first).replace("{tables}", self.tables);
        let mut text = String::with_capacity(spelt.len() + 32);
        for (nth, part) in spelt.split('?').enumerate() {
            if nth > 0 {
                text.push_str(&(self.placeholder)(nth));
            }
            text.push_str(part);
        }
        text
    }
}

/// SQLite 3.35 and newer.
pub(super) const SQLITE: Dialect = Dialect {
    placeholder: |_| "?".into(),
    now_ms: "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    first: "LIMIT ?",
    tables: "FROM sqlite_master WHERE type = 'table' AND name = 'muc_schema_version'",
    version: "SELECT 'SQLite ' || sqlite_version()",
    settings: "SELECT 'journal_mode', journal_mode FROM pragma_journal_mode
     UNION ALL SELECT 'synchronous', CAST(synchronous AS TEXT) FROM pragma_synchronous",
    sessions: None,
};

/// PostgreSQL 12 and newer. `clock_timestamp()`, for `now()` stands still inside a transaction.
pub(super) const POSTGRES: Dialect = Dialect {
    placeholder: |nth| format!("${nth}"),
    now_ms: "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)",
    first: "LIMIT ?",
    tables: "FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p') AND pg_catalog.pg_table_is_visible(oid) AND relname = 'muc_schema_version'",
    version: "SELECT 'PostgreSQL ' || current_setting('server_version')",
    settings: "SELECT name, setting FROM pg_catalog.pg_settings
     WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names')
     UNION ALL SELECT 'in_recovery', CASE WHEN pg_is_in_recovery() THEN 'on' ELSE 'off' END
     UNION ALL SELECT 'free_connections', CAST(current_setting('max_connections')::bigint
     - current_setting('superuser_reserved_connections')::bigint
     - (SELECT COUNT(*) FROM pg_catalog.pg_stat_activity WHERE datid IS NOT NULL) AS TEXT)",
    sessions: Some(
        "SELECT CAST(pid AS BIGINT) FROM pg_catalog.pg_stat_activity
         WHERE application_name = ? AND datname = current_database()",
    ),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_spelt_for_each_database() {
        let portable = "SELECT a FROM t WHERE b = ? AND c < {now_ms} ORDER BY a {first}";
        assert_eq!(
            SQLITE.render(portable),
            "SELECT a FROM t WHERE b = ? AND c < CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) ORDER BY a LIMIT ?"
        );
        assert!(POSTGRES.render(portable).contains("b = $1 AND c < CAST("));
        assert!(POSTGRES.render(portable).ends_with("LIMIT $2"));
    }
}
