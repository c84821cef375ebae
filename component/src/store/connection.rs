//! The seam between the store and its database engines: an [`Engine`] makes connections, a [`Wire`] runs
//! statements with typed values. What is here is all an engine has to bring; one file per engine.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;

use super::dialect::Dialect;
use super::error::{OpenError, StoreError, Trouble};

/// What an engine promises to do.
pub(super) type Answer<'a, T, E = Trouble> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// One kind of database, at one place.
pub(super) trait Engine: Send + Sync {
    /// `sqlite` or `postgres`, for logs and metrics.
    fn kind(&self) -> &'static str;
    /// What it is and where, without secrets, for sentences.
    fn place(&self) -> &str;
    fn dialect(&self) -> &'static Dialect;
    /// The migrations of this engine, oldest first.
    fn migrations(&self) -> &'static [(u32, &'static str)];
    /// Taken first in a migration's transaction, so that several nodes migrate one after the other.
    fn migration_lock(&self) -> Option<&'static str>;
    /// Whether two connections may write at once; if not, lease and journal share one.
    fn has_concurrent_writers(&self) -> bool;
    fn connect(&self, purpose: Purpose) -> Answer<'_, Box<dyn Wire>, OpenError>;
    /// The same database, where the server is told `label` as the name of every session.
    fn labelled(&self, label: &str) -> Arc<dyn Engine>;
    /// Takes the lock of that name if no living session has it.
    fn session_lock<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Held>, StoreError>;
    /// Takes the lock of that name as soon as no living session has it; a dropped future waits no more.
    fn await_session_lock<'a>(&'a self, name: &'a str) -> Answer<'a, Held, StoreError>;
    /// Ends every session with that label but those of this process; how many.
    fn end_sessions<'a>(&'a self, wire: &'a mut dyn Wire, label: &'a str) -> Answer<'a, u64>;
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Short statements, bounded by `store.answer_ms`.
    Work,
    /// Schema changes, which may take their time.
    Migration,
    /// Holding a session lock: at rest for days, and never ended for that.
    Lock,
}

/// What holds a session lock: gone when dropped, or when the process dies.
pub(super) enum Held {
    /// A connection that took it.
    Session(Box<dyn Wire>),
    /// A locked file.
    File(std::fs::File),
}

/// One connection. A future that is dropped before its end leaves the wire in an unknown state.
pub(super) trait Wire: Send {
    /// Runs a portable text; the number of rows it changed.
    fn execute<'a>(&'a mut self, text: &'static str, values: &'a [Value<'a>]) -> Answer<'a, u64>;
    /// Runs a portable text; the rows it gave.
    fn fetch<'a>(&'a mut self, text: &'static str, values: &'a [Value<'a>]) -> Answer<'a, Vec<Row>>;
    /// Runs statements in the database's own tongue, separated by `;`, without values.
    fn script<'a>(&'a mut self, text: &'a str) -> Answer<'a, ()>;
    /// Begins a transaction that will write.
    fn begin(&mut self) -> Answer<'_, ()>;
    /// Inserts many rows.
    fn insert<'a>(&'a mut self, into: &'static Columns, rows: &'a [Vec<Value<'a>>]) -> Answer<'a, ()>;
    /// As one transaction, in as few round trips as the engine can: moves the fence, and if it moved, inserts the
    /// rows. Whether it moved.
    fn insert_behind<'a>(
        &'a mut self,
        fence: &'static str,
        values: &'a [Value<'a>],
        into: &'static Columns,
        rows: &'a [Vec<Value<'a>>],
    ) -> Answer<'a, bool>;
    /// Says goodbye to the database.
    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A table as a bulk insert sees it.
pub(super) struct Columns {
    pub(super) table: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
}

/// The kinds of values there are in every database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Int,
    Text,
    Key,
}

/// A value on its way in. NULL keeps its type: some servers refuse an untyped one.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Key([u8; 32]),
}

impl Value<'_> {
    pub(super) fn count(number: u64) -> Value<'static> {
        Value::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    pub(super) fn maybe_count(number: Option<u64>) -> Value<'static> {
        number.map_or(Value::Int(None), Value::count)
    }

    pub(super) fn as_int(&self) -> Option<i64> {
        if let Value::Int(number) = self { *number } else { None }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { text.as_deref() } else { None }
    }

    pub(super) fn as_key(&self) -> Option<&[u8]> {
        if let Value::Key(key) = self { Some(key) } else { None }
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Int(Some(number))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        Value::Int(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(is: bool) -> Self {
        Value::Int(Some(i64::from(is)))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Value<'a> {
        Value::Text(Some(storable(text)))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        match storable(&text) {
            Cow::Borrowed(_) => Value::Text(Some(Cow::Owned(text))),
            Cow::Owned(cleaned) => Value::Text(Some(Cow::Owned(cleaned))),
        }
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Value<'a> {
        Value::Text(text.map(storable))
    }
}

impl From<[u8; 32]> for Value<'_> {
    fn from(key: [u8; 32]) -> Self {
        Value::Key(key)
    }
}

/// The text with U+FFFD for every character XML cannot carry: PostgreSQL takes no U+0000 at all, and whatever is
/// stored will be spoken one day. The same on every engine.
fn storable(text: &str) -> Cow<'_, str> {
    let is_forbidden =
        |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    let is_suspect = |b: u8| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r') || b == 0xef;
    if !text.bytes().any(is_suspect) || !text.contains(is_forbidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(is_forbidden, "\u{fffd}"))
}

/// A value on its way out.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row on its way out, read from left to right. What does not fit is damage, told with its table and column.
#[derive(Debug)]
pub(super) struct Row {
    cells: std::vec::IntoIter<Cell>,
    nth: usize,
}

impl Row {
    pub(super) fn new(cells: Vec<Cell>) -> Row {
        Row { cells: cells.into_iter(), nth: 0 }
    }

    fn next(&mut self) -> Cell {
        self.nth += 1;
        self.cells.next().unwrap_or(Cell::Null)
    }

    fn misfit(&self, wanted: &str, found: &Cell) -> String {
        let found = match found {
            Cell::Null => "NULL",
            Cell::Int(_) => "a number",
            Cell::Text(_) => "text",
            Cell::Bytes(_) => "bytes",
        };
        format!("column {} of the result should be {wanted} and is {found}", self.nth)
    }

    pub(super) fn int(&mut self) -> Result<i64, String> {
        match self.next() {
            Cell::Int(number) => Ok(number),
            found => Err(self.misfit("a number", &found)),
        }
    }

    pub(super) fn maybe_int(&mut self) -> Result<Option<i64>, String> {
        match self.next() {
            Cell::Null => Ok(None),
            Cell::Int(number) => Ok(Some(number)),
            found => Err(self.misfit("a number or NULL", &found)),
        }
    }

    /// A number that cannot be negative; a clock set back may have made it so.
    pub(super) fn count(&mut self) -> Result<u64, String> {
        Ok(u64::try_from(self.int()?).unwrap_or_default())
    }

    pub(super) fn maybe_count(&mut self) -> Result<Option<u64>, String> {
        Ok(self.maybe_int()?.map(|number| u64::try_from(number).unwrap_or_default()))
    }

    pub(super) fn key(&mut self) -> Result<[u8; 32], String> {
        match self.next() {
            Cell::Bytes(bytes) => bytes.try_into().map_err(|bytes: Vec<u8>| {
                format!("column {} of the result should have 32 bytes and has {}", self.nth, bytes.len())
            }),
            found => Err(self.misfit("bytes", &found)),
        }
    }

    pub(super) fn bool(&mut self) -> Result<bool, String> {
        match self.int()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(format!("column {} of the result should be 0 or 1 and is {found}", self.nth)),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, String> {
        match self.next() {
            Cell::Text(text) => Ok(text),
            found => Err(self.misfit("text", &found)),
        }
    }

    /// Text that may be empty: some databases keep that as NULL.
    pub(super) fn text_or_empty(&mut self) -> Result<String, String> {
        Ok(self.maybe_text()?.unwrap_or_default())
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, String> {
        match self.next() {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            found => Err(self.misfit("text or NULL", &found)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_carry_is_replaced_and_nothing_else() {
        assert_eq!(storable("a\0b\u{1f}c\u{ffff}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        let fine = " tab\tline\r\n \u{1f984}'\"&< trailing  \u{ff4f}";
        assert!(matches!(storable(fine), Cow::Borrowed(text) if text == fine));
    }
}
