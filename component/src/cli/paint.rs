//! Words for people: plain lines, coloured only on a terminal and not under `NO_COLOR`.

use std::io::{IsTerminal, Write};

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Good,
    Bad,
    NotTried,
}

/// Prints a line.
pub(super) fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
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
        Verdict::Bad => ("31", "FAIL"),
        Verdict::NotTried => ("33", "skip"),
    };
    let word =
        if is_coloured(&std::io::stdout()) { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() };
    tell(&format!("{word}  {what:<10} {sentence}"));
}

fn is_coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
