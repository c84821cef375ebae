//! The language of the scenarios: reads a `.muc` file into its setting and its steps.
//!
//! One line is one step; a line that begins with a blank goes on from the line before. `README.md` beside
//! this file tells the language to whoever writes a script.

use std::path::Path;

use tandem_muc_core::muc::Role;
use tandem_muc_core::name::{Jid, Nick};

use crate::cast;
use crate::tree::{self, Tree};

/// A scenario as written.
#[derive(Debug)]
pub(crate) struct Script {
    /// The text, for the people it mentions.
    pub(crate) text: String,
    /// `key = value` lines about the room, values in JSON.
    pub(crate) room: Vec<(String, String)>,
    /// `key = value` lines about the service, values in JSON.
    pub(crate) service: Vec<(String, String)>,
    /// Whether there is no room at first.
    pub(crate) is_vacant: bool,
    /// Who is inside at first, in this order.
    pub(crate) inside: Vec<Inside>,
    /// What happens, each with its line number.
    pub(crate) steps: Vec<(usize, Step)>,
}

/// Somebody who is inside when the scenario begins.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    pub(crate) who: Jid,
    pub(crate) nick: Nick,
    /// The role, where it is not what the affiliation gives.
    pub(crate) role: Option<Role>,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Step {
    /// `who > …`: somebody says something.
    Says(Jid, Tree),
    /// `who, who < …`: each hears this next.
    Hear(Vec<Jid>, Tree),
    /// `who, who < …` with nothing but `…`: what each heard so far does not matter here.
    Passed(Vec<Jid>),
    /// `…`: what anyone heard so far does not matter here.
    AllPassed,
    /// `wait 5s`
    Wait(u64),
    /// `reload`
    Reload,
    /// `silence`
    Silence,
}

/// Reads the script at `path`; an error names file and line.
pub(crate) fn read(path: &Path) -> Result<Script, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))?;
    parse(&text).map_err(|(line, why)| format!("{}:{line}: {why}", path.display()))
}

fn parse(text: &str) -> Result<Script, (usize, String)> {
    let mut script = Script {
        text: text.to_owned(),
        room: Vec::new(),
        service: Vec::new(),
        is_vacant: false,
        inside: Vec::new(),
        steps: Vec::new(),
    };
    for (line, statement) in statements(text) {
        script.add(line, statement.trim()).map_err(|why| (line, why))?;
    }
    match script.steps.last() {
        Some((_, Step::Silence)) => Ok(script),
        _ => Err((text.lines().count(), "the last line of a scenario is `silence`".to_owned())),
    }
}

/// The statements of a text with the numbers of their first lines, comments and empty lines left out.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let goes_on = line.starts_with([' ', '}']);
        match found.last_mut() {
            _ if line.trim().is_empty() || line.starts_with('#') => {}
            Some((_, statement)) if goes_on => {
                statement.push('\n');
                statement.push_str(line.trim());
            }
            _ => found.push((number, line.to_owned())),
        }
    }
    found
}

impl Script {
    fn add(&mut self, line: usize, statement: &str) -> Result<(), String> {
        if let Some(people) = statement.strip_prefix("in hall:") {
            self.inside = people.split(',').map(|one| inside(one.trim())).collect::<Result<_, _>>()?;
        } else if let Some(block) = statement.strip_prefix("room hall ") {
            self.room = settings(block)?;
        } else if let Some(block) = statement.strip_prefix("service ") {
            self.service = settings(block)?;
        } else if statement == "no room hall" {
            self.is_vacant = true;
        } else {
            self.steps.push((line, step(statement)?));
        }
        Ok(())
    }
}

fn step(statement: &str) -> Result<Step, String> {
    match statement {
        "silence" => return Ok(Step::Silence),
        "reload" => return Ok(Step::Reload),
        "…" => return Ok(Step::AllPassed),
        _ => {}
    }
    if let Some(time) = statement.strip_prefix("wait ") {
        return millis(time).map(Step::Wait).ok_or_else(|| format!("`{time}` is no time"));
    }
    let at = statement.find(['<', '>']).ok_or_else(|| format!("`{statement}` is no step"))?;
    let (who, said) = (statement[..at].trim(), statement[at + 1..].trim());
    if statement.as_bytes()[at] == b'>' {
        return Ok(Step::Says(cast::session(who)?, tree::read(said)?));
    }
    let who = who.split(',').map(|one| cast::session(one.trim())).collect::<Result<Vec<_>, _>>()?;
    if said == "…" {
        return Ok(Step::Passed(who));
    }
    Ok(Step::Hear(who, tree::read(said)?))
}

/// `nils/2 as Nils (visitor)`
fn inside(text: &str) -> Result<Inside, String> {
    let (who, rest) = text.split_once(" as ").ok_or_else(|| format!("`{text}` is not `who as Nick`"))?;
    let (nick, role) = match rest.strip_suffix(')').and_then(|rest| rest.split_once(" (")) {
        Some((nick, role)) => (nick, Some(Role::parse(role).ok_or_else(|| format!("`{role}` is no role"))?)),
        None => (rest, None),
    };
    let nick = Nick::parse(nick).map_err(|why| format!("`{nick}` is no nick: {why:?}"))?;
    Ok(Inside { who: cast::session(who)?, nick, role })
}

/// `{ key = value; key = value }`, one a line or parted by semicolons.
fn settings(block: &str) -> Result<Vec<(String, String)>, String> {
    let inner = block.trim().strip_prefix('{').and_then(|block| block.strip_suffix('}'));
    let inner = inner.ok_or_else(|| format!("`{block}` is no block in braces"))?;
    inner
        .split(['\n', ';'])
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (key, value) = line.split_once('=').ok_or_else(|| format!("`{line}` is not `key = value`"))?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

fn millis(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let factor = match &text[unit..] {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(text[..unit].parse::<u64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_must_end_in_silence() {
        assert_eq!(parse("in hall: olga as Olga\nreload").expect_err("no silence").0, 2);
        assert!(parse("in hall: olga as Olga\nsilence").is_ok());
    }

    #[test]
    fn a_line_that_begins_with_a_blank_goes_on() {
        let script =
            parse("nils > <iq type='get'\n    to='hall'/>\nnils, mia/2 < …\nwait 5s\nsilence").expect("a script");
        assert!(matches!(&script.steps[0], (1, Step::Says(_, tree)) if tree.attr("to") == Some(cast::HALL)));
        assert!(matches!(&script.steps[1], (3, Step::Passed(who)) if who[1].as_str() == "mia@example.org/2"));
        assert!(matches!(&script.steps[2], (4, Step::Wait(5_000))));
    }

    #[test]
    fn strangers_to_the_cast_are_refused() {
        assert!(parse("otto > <presence/>\nsilence").expect_err("a stranger").1.contains("otto"));
    }

    #[test]
    fn settings_stand_on_lines_or_between_semicolons() {
        let script =
            parse("room hall {\n  a = 1\n  b = \"x\"\n}\nservice { c = true; d = [] }\nsilence").expect("a script");
        assert_eq!(script.room, [("a".into(), "1".into()), ("b".into(), "\"x\"".into())]);
        assert_eq!(script.service.len(), 2);
    }
}
