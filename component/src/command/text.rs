//! What a person reads: lines of spans, each with a tone, and tables that line up. Whether tones become colours is the
//! door's to say.

use std::fmt;

/// How a word is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// As any other.
    Plain,
    /// A heading, or what matters.
    Strong,
    /// Beside the point.
    Faint,
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// To be mended.
    Bad,
}

/// Some words in one tone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// The words.
    pub words: String,
    /// Their tone.
    pub tone: Tone,
}

/// Lines for a person.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Text {
    /// Each, of its spans.
    pub lines: Vec<Vec<Span>>,
}

/// Words in `tone`.
pub fn span(words: impl Into<String>, tone: Tone) -> Span {
    Span { words: words.into(), tone }
}

/// Words as any other.
pub fn plain(words: impl Into<String>) -> Span {
    span(words, Tone::Plain)
}

impl Text {
    /// A line more.
    pub fn line(&mut self, spans: Vec<Span>) {
        self.lines.push(spans);
    }

    /// A table more, under `head`, two blanks between its columns; the last column ends where it ends.
    pub fn table(&mut self, indent: usize, head: &[&str], rows: Vec<Vec<Span>>) {
        let head = head.iter().map(|words| span(*words, Tone::Faint)).collect();
        let all: Vec<Vec<Span>> = std::iter::once(head).chain(rows).collect();
        let columns = all.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(wide).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in all {
            let last = row.len().saturating_sub(1);
            let mut line = vec![plain(" ".repeat(indent))];
            for (column, cell) in row.into_iter().enumerate() {
                let padding = if column == last { 0 } else { widths[column] - wide(&cell) + 2 };
                line.push(cell);
                line.push(plain(" ".repeat(padding)));
            }
            self.lines.push(line);
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let words: String = line.iter().map(|span| span.words.as_str()).collect();
            writeln!(f, "{}", words.trim_end())?;
        }
        Ok(())
    }
}

fn wide(cell: &Span) -> usize {
    cell.words.chars().count()
}

/// A span of time as short as it can be said: `87 ms`, `1.2 s`, `42 min`, `3 h 05 min`, `4 d 02 h`.
pub fn lasting(ms: u64) -> String {
    let (seconds, minutes, hours, days) = (ms / 1_000, ms / 60_000, ms / 3_600_000, ms / 86_400_000);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{seconds}.{} s", ms % 1_000 / 100),
        10_000..120_000 => format!("{seconds} s"),
        120_000..7_200_000 => format!("{minutes} min"),
        7_200_000..172_800_000 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

/// A time by the calendar, in UTC: `2026-11-25 13:02:11Z`.
pub fn at(ms: i64) -> String {
    let stamp = tandem_muc_core::time::Utc(ms / 1_000 * 1_000).to_string();
    stamp.replacen('T', " ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let mut text = Text::default();
        text.table(2, &["node", "state"], vec![vec![plain("alpha"), plain("Normal")], vec![plain("b"), plain("")]]);
        assert_eq!(text.to_string(), "  node   state\n  alpha  Normal\n  b\n");
    }

    #[test]
    fn times_are_as_short_as_can_be() {
        for (ms, said) in [
            (87, "87 ms"),
            (1_290, "1.2 s"),
            (42_000, "42 s"),
            (2_520_000, "42 min"),
            (11_100_000, "3 h 05 min"),
            (353_000_000, "4 d 02 h"),
        ] {
            assert_eq!(lasting(ms), said);
        }
        assert_eq!(at(1_031_702_711_999), "2002-09-11 00:05:11Z");
    }
}
