//! Tidiness of the tree, as far as reading the files can tell: floors, openings, lengths, leftovers, links.
//!
//! The floors are those of ARCHITECTURE.md: a module uses lower floors and its own folder, never a neighbour.
//! Code behind `#[cfg(test)]` may do more, for tests reach where the program does not.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use tandem_muc_core::muc::option;

/// The modules of the core, ground first; those on one line are neighbours.
const CORE: &[&[&str]] = &[
    &["name", "time", "ns"],
    &["stanza"],
    &["protocol"],
    &["muc"],
    &["record"],
    &["room", "pace", "pair", "relay", "merge"],
];
/// The modules of the shell, ground first.
const SHELL: &[&[&str]] = &[
    &["config", "fail", "telemetry"],
    &["store", "stream"],
    &["journal", "relay"],
    &["shard"],
    &["reign"],
    &["pair"],
    &["service"],
    &["command"],
    &["cli"],
];
/// The longest a file may be, its tests aside.
const LINES_MAX: usize = 500;
/// What no engine may touch: clocks, chance, IO, an order that differs from run to run.
const IMPURE: &[&str] = &[
    "std::time",
    "SystemTime",
    "Instant::now",
    "jiff::Zoned::now",
    "Timestamp::now",
    "rand::",
    "RandomState",
    "tokio",
    "std::net",
    "std::fs",
    "std::thread",
    "std::env",
];
/// What is left behind by somebody in the middle of something, or ends the process where an answer is due.
const LEFTOVERS: &[&str] = &["TODO", "FIXME", "XXX:", "dbg!(", "todo!(", "unimplemented!(", ".unwrap()"];

/// One file of Rust.
struct Source {
    /// From the root of the tree.
    path: String,
    /// Without what stands behind `#[cfg(test)]` at its end, and without comments.
    code: Vec<(usize, String)>,
    /// As it is.
    text: String,
}

#[test]
fn modules_use_lower_floors_only() {
    let mut faults = Vec::new();
    for (crate_root, crate_name, floors) in
        [("component/core/src", "tandem_muc_core", CORE), ("component/src", "tandem_muc", SHELL)]
    {
        for source in sources(crate_root) {
            let Some(own) = module_of(&source.path, crate_root) else { continue };
            let Some(floor) = floor_of(&own, floors) else {
                faults.push(format!("{}: `{own}` is on no floor; add it to ARCHITECTURE.md and here", source.path));
                continue;
            };
            for (line, used) in uses(&source, &own, crate_name) {
                match floor_of(&used, floors) {
                    _ if used == own => {}
                    Some(other) if other < floor => {}
                    Some(_) => faults
                        .push(format!("{}:{line}: `{own}` uses `{used}`, which is not on a lower floor", source.path)),
                    None => {}
                }
            }
        }
    }
    none(&faults);
}

#[test]
fn only_the_store_knows_sql_and_only_the_stream_knows_the_component_protocol() {
    let mut faults = Vec::new();
    for (word, folder) in [("sqlx", "store"), ("tokio_xmpp", "stream")] {
        for source in sources("component/src").iter().chain(&sources("component/core/src")) {
            let is_home = module_of(&source.path, "component/src").as_deref() == Some(folder);
            let lines = source.code.iter().filter(|(_, line)| has_word(line, word) && !is_home);
            faults.extend(lines.map(|(line, _)| format!("{}:{line}: only {folder}/ knows {word}", source.path)));
        }
    }
    none(&faults);
}

#[test]
fn engines_are_pure() {
    let mut faults = Vec::new();
    for source in sources("component/core/src") {
        for (line, code) in &source.code {
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                faults.push(format!("{}:{line}: `{word}` has no place in the core", source.path));
            }
            let is_hashed = ["HashMap<", "HashSet<"].iter().any(|word| code.contains(word));
            if is_hashed && !code.contains("FixedState") {
                faults
                    .push(format!("{}:{line}: a hash table in the core names a fixed seed (FixedState)", source.path));
            }
            if code.contains("HashMap::new()") || code.contains("HashSet::new()") {
                faults.push(format!("{}:{line}: a hash table without a fixed seed", source.path));
            }
        }
    }
    none(&faults);
}

#[test]
fn every_file_says_what_it_is_for_and_is_short() {
    let mut faults = Vec::new();
    for source in all_sources() {
        let opening: Vec<&str> = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let words = opening.iter().map(|line| line.trim_start_matches("//!").split_whitespace().count()).sum::<usize>();
        if words < 3 {
            faults.push(format!("{}: opens with no sentence about its purpose", source.path));
        }
        let length = source.code.last().map_or(0, |(line, _)| *line);
        if length > LINES_MAX && !source.path.starts_with("tests/") {
            faults.push(format!(
                "{}: {length} lines, {LINES_MAX} are the limit; look for the second use case",
                source.path
            ));
        }
    }
    none(&faults);
}

#[test]
fn nothing_is_left_behind() {
    let mut faults = Vec::new();
    for source in all_sources() {
        let is_test = source.path.starts_with("tests/") || source.path.ends_with("/tests.rs");
        for (number, line) in (1..).zip(source.text.lines()) {
            let is_comment = line.trim_start().starts_with("//");
            for word in ["TODO", "FIXME"].iter().filter(|word| is_comment && line.contains(**word)) {
                faults.push(format!("{}:{number}: {word}", source.path));
            }
        }
        for (line, code) in source.code.iter().filter(|_| !is_test) {
            for word in LEFTOVERS.iter().filter(|word| code.contains(**word)) {
                faults.push(format!("{}:{line}: `{word}`", source.path));
            }
        }
    }
    none(&faults);
}

#[test]
fn the_tree_speaks_of_itself_alone() {
    // Put together here so that this file does not find itself.
    let elsewhere = [["sha", "red/"].concat(), root().display().to_string()];
    let mut faults = Vec::new();
    for path in files(&root(), &["rs", "md", "toml", "sql", "muc", "yml", "service", "lua", "py", "sh"]) {
        let text = read(&path);
        let is_astray = |line: &str| elsewhere.iter().any(|place| line.contains(place.as_str()));
        let lines = (1..).zip(text.lines()).filter(|(_, line)| is_astray(line));
        faults.extend(lines.map(|(number, _)| format!("{}:{number}: names a place outside the tree", shown(&path))));
    }
    none(&faults);
}

#[test]
fn every_configuration_key_is_in_the_sample_and_no_other() {
    let own: [&str; 4] = ["mod.rs", "identity.rs", "limits.rs", "rates.rs"];
    for (code, sample) in [(&own[..], "conf/component.toml"), (&["relay.rs"], "conf/relay.toml")] {
        let of = |file: &&str| config_keys(&read(&root().join("component/src/config").join(file)));
        let mut known: BTreeSet<String> = code.iter().flat_map(of).collect();
        if code == own {
            // Defaults of new rooms go by the keys of the room's options.
            known.extend(option::ALL.iter().map(|option| option.key.to_owned()));
            known.insert("fixed".to_owned());
        } else {
            // What both files have stands in the first.
            known.extend(["format", "level"].map(str::to_owned));
        }
        let in_sample = sample_keys(&read(&root().join(sample)));
        assert!(known.len() > 10, "the keys were not found where they were looked for: {known:?}");
        let missing: Vec<_> = known.difference(&in_sample).collect();
        let unknown: Vec<_> = in_sample.difference(&known).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{sample} lacks {missing:?} and has unknown {unknown:?}");
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for path in files(&root(), &["md"]) {
        let text = read(&path);
        for (number, line) in (1..).zip(text.lines()) {
            for target in link_targets(line) {
                let bare = target.split(['#', '?']).next().unwrap_or_default();
                if bare.is_empty()
                    || target.contains("://")
                    || target.starts_with("mailto:")
                    || target.starts_with("xmpp:")
                {
                    continue;
                }
                let base = if bare.starts_with('/') {
                    root()
                } else {
                    path.parent().map(Path::to_path_buf).unwrap_or_default()
                };
                if !base.join(bare.trim_start_matches('/')).exists() {
                    faults.push(format!("{}:{number}: {target} is not there", shown(&path)));
                }
            }
        }
    }
    none(&faults);
}

fn none(faults: &[String]) {
    let mut report = String::new();
    for fault in faults {
        let _ = writeln!(report, "{fault}");
    }
    assert!(faults.is_empty(), "{} faults\n{report}", faults.len());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the tree")
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))).into_owned()
}

/// All files below with one of these endings, in order; what is built or hidden is left out.
fn files(below: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(below) else { return found };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if path.extension().is_some_and(|ending| endings.contains(&ending.to_string_lossy().as_ref())) {
            found.push(path);
        }
    }
    found
}

fn all_sources() -> Vec<Source> {
    ["component", "tests"].into_iter().flat_map(sources).collect()
}

fn sources(below: &str) -> Vec<Source> {
    files(&root().join(below), &["rs"])
        .into_iter()
        .map(|path| {
            let text = read(&path);
            let code = (1..)
                .zip(text.lines())
                .take_while(|(_, line)| line.trim() != "#[cfg(test)]" || is_outline_tests(&text))
                .map(|(number, line)| (number, without_comment(line).to_owned()))
                .collect();
            Source { path: shown(&path), code, text }
        })
        .collect()
}

/// Whether the tests of a file live in a file of their own, so that code may go on below.
fn is_outline_tests(text: &str) -> bool {
    text.contains("#[cfg(test)]\nmod tests;")
}

fn without_comment(line: &str) -> &str {
    let trimmed = line.trim_start();
    if trimmed.starts_with("//") {
        return "";
    }
    line.find(" // ").map_or(line, |at| &line[..at])
}

/// The top module a file belongs to; none for `lib.rs` and `main.rs`, which stand on all floors.
fn module_of(path: &str, crate_root: &str) -> Option<String> {
    let inner = path.strip_prefix(crate_root)?.trim_start_matches('/');
    let top = inner.split('/').next()?.trim_end_matches(".rs");
    (!matches!(top, "lib" | "main" | "bin")).then(|| top.to_owned())
}

fn floor_of(module: &str, floors: &[&[&str]]) -> Option<usize> {
    floors.iter().position(|neighbours| neighbours.contains(&module))
}

/// The modules of its own crate a file names, by `crate::…`, by the crate's name or by `super::` from its top.
fn uses(source: &Source, own: &str, crate_name: &str) -> Vec<(usize, String)> {
    let is_top =
        source.path.ends_with(&format!("/src/{own}.rs")) || source.path.ends_with(&format!("/src/{own}/mod.rs"));
    let prefixes = ["crate::".to_owned(), format!("{crate_name}::")];
    let mut found = BTreeSet::new();
    for (number, line) in &whole_uses(&source.code) {
        for prefix in prefixes.iter().map(String::as_str).chain(is_top.then_some("super::")) {
            for (at, _) in line.match_indices(prefix) {
                let is_word =
                    line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':');
                if !is_word {
                    continue;
                }
                for name in names_after(&line[at + prefix.len()..]) {
                    found.insert((*number, name));
                }
            }
        }
    }
    found.into_iter().collect()
}

/// The lines of code, a `use` over several lines made one.
fn whole_uses(code: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::with_capacity(code.len());
    let mut is_open = false;
    for (number, line) in code {
        match lines.last_mut().filter(|_| is_open) {
            Some((_, whole)) => whole.push_str(line.trim()),
            None => lines.push((*number, line.clone())),
        }
        let starts = ["use ", "pub use ", "pub(crate) use "].iter().any(|word| line.trim_start().starts_with(word));
        is_open = (is_open || starts) && !line.contains(';');
    }
    lines
}

/// The names a path goes on with: one, or those at the top of a group in braces.
fn names_after(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return word(rest).into_iter().collect() };
    let mut depth = 0;
    let mut names = Vec::new();
    let mut is_start = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            c if is_start && depth == 0 && !c.is_whitespace() => {
                names.extend(word(&group[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn has_word(line: &str, wanted: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == wanted)
}

/// The fields of all structs that refuse unknown ones, by the names the file has for them.
fn config_keys(code: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut is_inside = false;
    let mut renamed = None;
    for line in code.lines() {
        if line.starts_with("#[serde(deny_unknown_fields") {
            is_inside = true;
        } else if line.starts_with('}') {
            is_inside = false;
        } else if let Some((_, rest)) = line.split_once("rename = \"").filter(|_| is_inside) {
            renamed = rest.split('"').next().map(str::to_owned);
        } else if let Some(field) = line.strip_prefix("    ").filter(|_| is_inside) {
            let field = field.strip_prefix("pub(crate) ").or_else(|| field.strip_prefix("pub ")).unwrap_or(field);
            if let Some(name) = word(field).filter(|name| field[name.len()..].starts_with(": ")) {
                keys.insert(renamed.take().unwrap_or(name));
            }
        }
    }
    keys
}

/// The keys and tables of a TOML file, those that are commented out too.
fn sample_keys(text: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for line in text.lines().map(|line| line.strip_prefix('#').unwrap_or(line)) {
        if line.starts_with('[') {
            keys.extend(line.trim_matches(['[', ']']).split('.').map(str::to_owned));
        } else if let Some(name) = word(line).filter(|name| line[name.len()..].starts_with(" = ")) {
            keys.insert(name);
        }
    }
    keys
}

/// What `[text](target)` leads to, outside of code.
fn link_targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect();
    prose
        .match_indices("](")
        .filter_map(|(at, _)| {
            let rest = &prose[at + 2..];
            let target = &rest[..rest.find(')')?];
            Some(target.split_whitespace().next()?.trim_matches(['<', '>']).to_owned())
        })
        .collect()
}

#[test]
fn the_checks_see_what_they_are_for() {
    assert_eq!(names_after("{room::{Room, Input}, ns}; "), ["room", "ns"]);
    assert_eq!(names_after("stanza::Kind;"), ["stanza"]);
    assert_eq!(link_targets("see [a](b.md#c) and `[x](y)` and [d](<e f>)"), ["b.md#c", "e"]);
    let use_over_lines = [(1, "use crate::{".to_owned()), (2, "    room::Room,".to_owned()), (3, "};".to_owned())];
    assert_eq!(whole_uses(&use_over_lines), [(1, "use crate::{room::Room,};".to_owned())]);
    assert_eq!(floor_of("record", CORE), Some(4));
    assert_eq!(module_of("component/core/src/room/mod.rs", "component/core/src").as_deref(), Some("room"));
    assert_eq!(without_comment("let x = 1; // y"), "let x = 1;");
}
