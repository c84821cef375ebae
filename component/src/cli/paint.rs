//! Words for people: plain lines, coloured only on a terminal and not under `NO_COLOR`.

use std::io::{IsTerminal, Write};

use crate::command::text::{Span, Text, Tone};

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub(super) enum Verdict {
    #[serde(rename = "ok")]
    Good,
    /// It works, and could be better.
    #[serde(rename = "warn")]
    Doubtful,
    #[serde(rename = "fail")]
    Bad,
    #[serde(rename = "skip")]
    NotTried,
}

/// Prints a line; false if nobody reads any more.
pub(super) fn tell(line: &str) -> bool {
    writeln!(std::io::stdout(), "{line}").is_ok()
}

/// Prints a text, in colours where they can be seen; false if nobody reads any more.
pub(super) fn page(text: &Text) -> bool {
    let is_coloured = is_coloured(&std::io::stdout());
    text.lines.iter().all(|line| {
        let line: String = line.iter().map(|span| coloured(span, is_coloured)).collect();
        tell(line.trim_end())
    })
}

/// Prints a value as JSON, over several lines for a terminal; false if nobody reads any more.
pub(super) fn json(value: &impl serde::Serialize) -> bool {
    let pretty = is_terminal();
    let written = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    written.is_ok_and(|written| tell(&written))
}

/// Empties the terminal.
pub(super) fn clear() {
    let _ = write!(std::io::stdout(), "\u{1b}[H\u{1b}[2J");
}

/// Says how far something is, on one line of a terminal that the next words overwrite; elsewhere nothing.
pub(super) fn progress(line: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\u{1b}[K{line}");
        let _ = stderr.flush();
    }
}

/// Whether a person reads at a terminal.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

fn coloured(span: &Span, is_coloured: bool) -> String {
    let colour = match span.tone {
        Tone::Plain => return span.words.clone(),
        Tone::Strong => "1",
        Tone::Faint => "2",
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "31",
    };
    if is_coloured { format!("\u{1b}[{colour}m{}\u{1b}[0m", span.words) } else { span.words.clone() }
}

/// Prints what went wrong.
pub(super) fn complain(sentence: &str) {
    let head = if is_coloured(&std::io::stderr()) { "\u{1b}[31merror:\u{1b}[0m" } else { "error:" };
    let _ = writeln!(std::io::stderr(), "{head} {sentence}");
}

/// Prints a verdict on `what`.
pub(super) fn verdict(verdict: Verdict, what: &str, sentence: &str) {
    let (colour, word) = match verdict {
        Verdict::Good => ("32", "ok  "),
        Verdict::Doubtful => ("33", "warn"),
        Verdict::Bad => ("31", "FAIL"),
        Verdict::NotTried => ("2", "skip"),
    };
    let word =
        if is_coloured(&std::io::stdout()) { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() };
    tell(&format!("{word}  {what:<10} {sentence}"));
}

fn is_coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
