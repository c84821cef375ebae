//! The one table that `make bench` prints.

use std::io::Write;
use std::time::Duration;

/// Rows as they come, printed at once so that a long run shows where it is.
#[derive(Debug, Default)]
pub(crate) struct Table {
    goals: Vec<(String, bool)>,
}

impl Table {
    /// A section begins.
    pub(crate) fn head(&mut self, title: &str) {
        say(&format!("\n{title}"));
    }

    /// One figure, with what it means beside it.
    pub(crate) fn row(&mut self, what: &str, figure: &str, beside: &str) {
        say(&format!("  {what:<38} {figure:>26}   {beside}"));
    }

    /// A goal, met or not.
    pub(crate) fn goal(&mut self, what: &str, is_met: bool) {
        self.goals.push((what.to_owned(), is_met));
    }

    /// What could not be measured here, and why.
    pub(crate) fn skipped(&mut self, what: &str, why: &str) {
        say(&format!("  {what:<38} {:>26}   {why}", "SKIPPED"));
    }

    /// The goals, at the end.
    pub(crate) fn close(self) {
        say("\ngoals");
        for (what, is_met) in &self.goals {
            say(&format!("  {}  {what}", if *is_met { "met   " } else { "MISSED" }));
        }
    }
}

/// `count` in `span`, as a figure per second.
pub(crate) fn per_second(count: u64, span: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts of a bench")]
    let rate = count as f64 / span.as_secs_f64();
    if rate >= 1e6 { format!("{:.2} M", rate / 1e6) } else { format!("{:.1} k", rate / 1e3) }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
