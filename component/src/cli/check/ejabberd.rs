//! ejabberd's configuration as far as a component depends on it. It is YAML in the block form every ejabberd.yml has;
//! read here are keys and values by their indentation.

use secrecy::ExposeSecret;

use super::findings::Finding;
use crate::config::Service;

const WHAT: &str = "ejabberd";

/// A line: how deep it stands, whether it begins an entry of a list, its key and value.
#[derive(Clone, Debug)]
struct Line {
    depth: usize,
    is_entry: bool,
    key: String,
    value: String,
}

/// Looks in `text` for what `service` needs.
pub(super) fn judge(text: &str, service: &Service) -> Vec<Finding> {
    let lines = lines(text);
    let domain = service.domain.0.as_str();
    let mut found = Vec::new();
    found.push(balancing(&lines, domain));
    found.extend(own_rooms(&lines, domain));
    let listeners = listeners(&lines);
    let Some(own) = listeners.iter().find(|listener| below(listener, "hosts").iter().any(|line| line.key == domain))
    else {
        let remedy = format!(
            "listen:\n  -\n    port: 5347\n    module: ejabberd_service\n    global_routes: false\n    hosts:\n      {domain}:\n        password: \"…\""
        );
        let sentence =
            format!("no ejabberd_service listener has {domain} under hosts (what the file includes is not read)");
        found.push(Finding::doubtful(WHAT, sentence, remedy));
        return found;
    };
    found.push(match value(own, "global_routes") {
        Some("false") => {
            Finding::good(WHAT, format!("{domain}: each component of the listener is given its own domain"))
        }
        Some(_) | None => Finding::bad(
            WHAT,
            format!("{domain}: whoever attaches to this listener is given every domain of it"),
            "global_routes: false",
        ),
    });
    if let Some(shaper) = value(own, "shaper").or_else(|| value(own, "shaper_rule")).filter(|shaper| *shaper != "none")
    {
        let sentence = format!("{domain}: shaper {shaper} slows the stream that speaks for all rooms");
        found.push(Finding::doubtful(WHAT, sentence, "shaper: none"));
    }
    found.extend(secret(&below(own, domain), service));
    found
}

/// It sends half of all stanzas nowhere when one of two components is gone.
fn balancing(lines: &[Line], domain: &str) -> Finding {
    if below(lines, "domain_balancing").iter().any(|line| line.key == domain) {
        let sentence = format!("domain_balancing for {domain}: part of the stanzas is dropped when a node goes");
        return Finding::bad(WHAT, sentence, format!("remove {domain} from domain_balancing"));
    }
    Finding::good(WHAT, format!("{domain}: no domain_balancing"))
}

/// Both mod_muc and a component cannot serve one domain.
fn own_rooms(lines: &[Line], domain: &str) -> Option<Finding> {
    lines.iter().find(|line| line.key == "mod_muc")?;
    let options = below(lines, "mod_muc");
    let mut named: Vec<String> = below(&options, "hosts").into_iter().map(|line| line.key).collect();
    named.extend(value(&options, "host").map(str::to_owned));
    if named.is_empty() {
        named.push("conference.@HOST@".to_owned());
    }
    let hosts = below(lines, "hosts");
    let is_ours =
        |name: &String| hosts.iter().any(|host| name.replace("@HOST@", &host.key) == domain) || name == domain;
    let name = named.iter().find(|name| is_ours(name))?;
    let sentence = format!("mod_muc serves {name}, which is {domain}: ejabberd keeps its rooms to itself");
    Some(Finding::bad(WHAT, sentence, "remove mod_muc from modules, or give it another host"))
}

fn secret(options: &[Line], service: &Service) -> Option<Finding> {
    let domain = &service.domain.0;
    let ours = service.secret().ok()?;
    Some(match value(options, "password") {
        Some(theirs) if theirs == ours.expose_secret() => {
            Finding::good(WHAT, format!("{domain}: the secret is the same"))
        }
        Some(_) => Finding::bad(WHAT, format!("{domain}: password is not this program's secret"), ""),
        None => Finding::doubtful(WHAT, format!("{domain}: no password that is a plain text"), ""),
    })
}

/// The entries of `listen` that are for components.
fn listeners(lines: &[Line]) -> Vec<Vec<Line>> {
    let mut entries: Vec<Vec<Line>> = Vec::new();
    let all = below(lines, "listen");
    let depth = all.first().map_or(0, |line| line.depth);
    for line in all {
        if line.is_entry && line.depth <= depth {
            entries.push(Vec::new());
        }
        if let Some(entry) = entries.last_mut() {
            entry.push(line);
        }
    }
    entries.retain(|entry| value(entry, "module") == Some("ejabberd_service"));
    entries
}

/// The lines that stand deeper below the first `key`; an entry of a list may stand as deep as its key.
fn below(lines: &[Line], key: &str) -> Vec<Line> {
    let Some(at) = lines.iter().position(|line| line.key == key) else { return Vec::new() };
    let own = &lines[at];
    let depth = own.depth + usize::from(own.is_entry);
    lines[at + 1..]
        .iter()
        .take_while(|line| line.depth > depth || (line.is_entry && line.depth == depth && !own.is_entry))
        .cloned()
        .collect()
}

fn value<'a>(lines: &'a [Line], key: &str) -> Option<&'a str> {
    lines.iter().find(|line| line.key == key).map(|line| line.value.as_str())
}

fn lines(text: &str) -> Vec<Line> {
    text.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Line> {
    let text = without_comment(text);
    let depth = text.len() - text.trim_start_matches(' ').len();
    let mut rest = text.trim();
    let is_entry = rest == "-" || rest.starts_with("- ");
    if is_entry {
        rest = rest[1..].trim_start();
    }
    if rest.is_empty() && !is_entry {
        return None;
    }
    let (key, value) = match rest.split_once(": ") {
        Some((key, value)) => (key, value),
        None => (rest.strip_suffix(':').unwrap_or(rest), ""),
    };
    Some(Line { depth, is_entry, key: unquoted(key).to_lowercase(), value: unquoted(value) })
}

fn unquoted(text: &str) -> String {
    let text = text.trim();
    let inside = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote));
    inside.unwrap_or(text).to_owned()
}

/// A `#` after a blank begins a comment, unless it stands in quotes.
fn without_comment(text: &str) -> &str {
    let mut quote: Option<char> = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '#' && before == ' ' => return &text[..at],
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(_) | None => {}
        }
        before = c;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::paint::Verdict;

    const SAMPLE: &str = include_str!("../../../../conf/ejabberd/tandem-muc.yml");

    fn service() -> Service {
        let text = "[[service]]\ndomain = \"conference.example.org\"\nsecret = \"change me\"\n";
        let mut config = crate::config::Config::parse(std::path::Path::new("x.toml"), text).expect("a configuration");
        config.services.remove(0)
    }

    fn bad(text: &str) -> Vec<String> {
        let found = judge(text, &service());
        found.into_iter().filter(|found| found.verdict != Verdict::Good).map(|found| found.sentence).collect()
    }

    #[test]
    fn the_sample_of_this_project_is_well() {
        assert_eq!(bad(SAMPLE), Vec::<String>::new());
        let close = SAMPLE.replace("  -\n    port: 5347", "- port: 5347").replace("\n    ", "\n  ");
        assert_eq!(bad(&close), Vec::<String>::new(), "{close}");
    }

    #[test]
    fn what_is_missing_or_set_wrong_is_found() {
        for (line, instead, named) in [
            ("global_routes: false", "global_routes: true", "every domain"),
            ("global_routes: false", "#global_routes: false", "every domain"),
            ("password: \"change me\"", "password: \"another\"", "is not this program's"),
            ("shaper: none", "shaper: fast", "shaper fast"),
            ("module: ejabberd_service", "module: ejabberd_c2s", "no ejabberd_service"),
            ("      conference.example.org:", "      other.example.org:", "no ejabberd_service"),
        ] {
            assert!(SAMPLE.contains(line), "{line}");
            let found = bad(&SAMPLE.replace(line, instead));
            assert!(found.len() == 1 && found[0].contains(named), "{instead}: {found:?}");
        }
        let balanced = format!("{SAMPLE}\ndomain_balancing:\n  conference.example.org:\n    type: random\n");
        assert!(bad(&balanced)[0].contains("domain_balancing"));
        let other = format!("{SAMPLE}\ndomain_balancing:\n  other.example.org:\n    type: random\n");
        assert!(bad(&other).is_empty());
    }

    #[test]
    fn rooms_of_its_own_on_the_same_domain_are_found() {
        let with = |muc: &str| format!("hosts:\n  - example.org\n{SAMPLE}\nmodules:\n  mod_ping: {{}}\n{muc}");
        assert!(bad(&with("")).is_empty());
        assert!(bad(&with("  mod_muc: {}\n"))[0].contains("mod_muc serves conference.@HOST@"));
        assert!(bad(&with("  mod_muc:\n    access: all\n"))[0].contains("mod_muc"));
        assert!(bad(&with("  mod_muc:\n    host: rooms.@HOST@\n")).is_empty());
        assert!(bad(&with("  mod_muc:\n    hosts:\n      - conference.example.org\n"))[0].contains("mod_muc"));
    }
}
