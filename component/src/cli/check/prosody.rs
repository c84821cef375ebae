//! Prosody's configuration as far as a component depends on it. It is a program in Lua; read here are assignments of
//! plain values, in the section they stand in, which is what configurations consist of.

use secrecy::ExposeSecret;

use super::findings::Finding;
use crate::config::Service;

const WHAT: &str = "prosody";
/// What has to be there.
pub(super) const LINES: &str = "component_conflict_resolve = \"kick_old\"\nnetwork_settings = { nagle = false }";
/// Where Prosody listens for components if nothing else is said.
const PORT: &str = "5347";

/// The text without comments, cut where a host or component begins.
struct Section {
    /// `VirtualHost`, `Component`, or empty for what stands above all of them.
    kind: String,
    name: String,
    /// The module a component is, if it is Prosody's own.
    module: Option<String>,
    text: String,
}

/// Looks in `text` for what `service` needs.
pub(super) fn judge(text: &str, service: &Service) -> Vec<Finding> {
    let sections = sections(&without_comments(text));
    let domain = service.domain.0.as_str();
    let mut found: Vec<Finding> = nagle(&sections).into_iter().collect();
    found.extend(ports(&sections, service));
    let Some(own) = sections.iter().find(|section| section.kind == "Component" && section.name == domain) else {
        let remedy = format!(
            "Component \"{domain}\"\n    component_secret = \"…\"\n    component_conflict_resolve = \"kick_old\""
        );
        let sentence = format!("no Component \"{domain}\" in this file (what it includes is not read)");
        found.push(Finding::doubtful(WHAT, sentence, remedy));
        return found;
    };
    if let Some(module) = &own.module {
        let sentence =
            format!("Component \"{domain}\" is Prosody's own \"{module}\": it serves the rooms, not this program");
        found.push(Finding::bad(WHAT, sentence, format!("Component \"{domain}\"")));
        return found;
    }
    let global = sections.iter().find(|section| section.kind.is_empty());
    let value = |key: &str| value_of(&own.text, key).or_else(|| global.and_then(|global| value_of(&global.text, key)));
    found.push(match value("component_conflict_resolve").as_deref() {
        Some("kick_old") => {
            Finding::good(WHAT, format!("{domain}: a newcomer replaces a stream that hangs (kick_old)"))
        }
        Some(_) | None => Finding::bad(
            WHAT,
            format!("{domain}: while a dead stream hangs whoever comes next is refused (conflict)"),
            "component_conflict_resolve = \"kick_old\"",
        ),
    });
    found.extend(secret(value("component_secret").as_deref(), service));
    found
}

fn nagle(sections: &[Section]) -> Option<Finding> {
    let global = sections.iter().find(|section| section.kind.is_empty())?;
    let set = block_of(&global.text, "network_settings").and_then(|block| value_of(&block, "nagle"));
    Some(if set.as_deref() == Some("false") {
        Finding::good(WHAT, "small writes go out at once (nagle = false)")
    } else {
        let sentence =
            "small writes are held back (Nagle): 4 to 40 ms for messages, less as this program works around it";
        Finding::doubtful(WHAT, sentence, "network_settings = { nagle = false }")
    })
}

fn ports(sections: &[Section], service: &Service) -> Option<Finding> {
    let global = sections.iter().find(|section| section.kind.is_empty())?;
    let listed = block_of(&global.text, "component_ports").or_else(|| value_of(&global.text, "component_ports"));
    let listed = listed.unwrap_or_else(|| PORT.to_owned());
    let has = |port: &str| listed.split([',', ' ', ';', '\n']).any(|listed| listed.trim() == port);
    let is_missing = |server: &&String| server.rsplit_once(':').is_none_or(|(_, port)| !has(port));
    let missing = service.server.iter().find(is_missing)?;
    let sentence = format!("it listens for components at {}, this program calls {missing}", listed.trim());
    Some(Finding::doubtful(
        WHAT,
        sentence,
        "give server and component_ports the same port; a relay's belongs into relay",
    ))
}

fn secret(theirs: Option<&str>, service: &Service) -> Option<Finding> {
    let domain = &service.domain.0;
    let ours = service.secret().ok()?;
    Some(match theirs {
        Some(theirs) if theirs == ours.expose_secret() => {
            Finding::good(WHAT, format!("{domain}: the secret is the same"))
        }
        Some(_) => Finding::bad(WHAT, format!("{domain}: component_secret is not this program's secret"), ""),
        None => Finding::doubtful(WHAT, format!("{domain}: no component_secret that is a plain text"), ""),
    })
}

/// Lua's comments: to the end of the line, or between long brackets. Quoted text is left alone.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quote: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        if quote.is_none() && rest.starts_with("--") {
            rest = after_comment(rest);
            continue;
        }
        match quote {
            Some(_) if c == '\\' => {
                let escaped: String = rest.chars().take(2).collect();
                out.push_str(&escaped);
                rest = &rest[escaped.len()..];
                continue;
            }
            Some(open) if c == open || c == '\n' => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(_) | None => {}
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

fn after_comment(rest: &str) -> &str {
    let body = &rest[2..];
    if let Some(long) = body.strip_prefix('[') {
        let level = long.len() - long.trim_start_matches('=').len();
        if long[level..].starts_with('[') {
            let close = format!("]{}]", "=".repeat(level));
            return body.find(&close).map_or("", |at| &body[at + close.len()..]);
        }
    }
    body.find('\n').map_or("", |at| &body[at..])
}

fn sections(text: &str) -> Vec<Section> {
    let mut all = vec![Section { kind: String::new(), name: String::new(), module: None, text: String::new() }];
    for line in text.lines() {
        if let Some(next) = heading(line) {
            all.push(next);
        } else if let Some(section) = all.last_mut() {
            section.text.push_str(line);
            section.text.push('\n');
        }
    }
    all
}

/// `VirtualHost "x"`, `Component "x"` or `Component "x" "module"`, brackets or not.
fn heading(line: &str) -> Option<Section> {
    let line = line.trim_start();
    let kind = ["VirtualHost", "Component", "Host"].into_iter().find(|kind| line.starts_with(kind))?;
    let rest = &line[kind.len()..];
    let is_word = rest.starts_with([' ', '\t', '(', '"', '\'']);
    let mut quoted = rest.split(['"', '\'']).skip(1).step_by(2);
    let name = quoted.next().filter(|_| is_word)?.to_lowercase();
    let module = quoted.next().map(str::to_owned);
    let text = rest.rsplit(['"', '\'']).next().unwrap_or_default().to_owned();
    Some(Section { kind: kind.to_owned(), name, module, text })
}

/// The last value assigned to `key`, without its quotes.
fn value_of(text: &str, key: &str) -> Option<String> {
    let value = assigned(text, key)?.trim_start();
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        '{' => return None,
        _ => value.split([' ', '\t', '\n', ';', ',', '}']).next()?,
    };
    Some(value.to_owned())
}

/// What stands between the braces assigned to `key`.
fn block_of(text: &str, key: &str) -> Option<String> {
    let inside = assigned(text, key)?.trim_start().strip_prefix('{')?;
    let mut depth = 0;
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(inside[..at].to_owned()),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What follows the last `key =`.
fn assigned<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(key)
        .filter(|(at, _)| !text[..*at].ends_with(is_part))
        .filter_map(|(at, _)| text[at + key.len()..].trim_start().strip_prefix('='))
        .filter(|rest| !rest.starts_with('='))
        .last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::paint::Verdict;

    fn service(secret: &str) -> Service {
        let text = format!("[[service]]\ndomain = \"conference.example.org\"\nsecret = \"{secret}\"\n");
        let mut config = crate::config::Config::parse(std::path::Path::new("x.toml"), &text).expect("a configuration");
        config.services.remove(0)
    }

    fn bad(text: &str) -> Vec<String> {
        let found = judge(text, &service("change me"));
        found.into_iter().filter(|found| found.verdict != Verdict::Good).map(|found| found.sentence).collect()
    }

    #[test]
    fn the_sample_of_this_project_is_well() {
        let sample = include_str!("../../../../conf/prosody/tandem-muc.cfg.lua");
        assert_eq!(bad(sample), Vec::<String>::new());
    }

    #[test]
    fn each_line_that_is_missing_or_a_comment_is_found() {
        let sample = include_str!("../../../../conf/prosody/tandem-muc.cfg.lua");
        for (line, named) in [
            ("component_conflict_resolve = \"kick_old\"", "refused (conflict)"),
            ("network_settings = { nagle = false }", "Nagle"),
            ("component_secret = \"change me\"", "no component_secret"),
        ] {
            for instead in [String::new(), format!("-- {line}"), format!("--[[ {line} ]]")] {
                let found = bad(&sample.replace(line, &instead));
                assert!(found.len() == 1 && found[0].contains(named), "{instead}: {found:?}");
            }
        }
        let found = bad(&sample.replace("change me", "another"));
        assert!(found.len() == 1 && found[0].contains("is not this program's secret") && !found[0].contains("another"));
        let found = bad(&sample.replace("component_ports = { 5347 }", "component_ports = { 5999 }"));
        assert!(found.len() == 1 && found[0].contains("5999"), "{found:?}");
    }

    #[test]
    fn a_value_counts_in_its_own_section_or_above_all() {
        let own = "network_settings = { nagle = false }\nComponent 'Conference.Example.org'\n  component_secret = 'change me'\n";
        assert!(bad(&format!("component_conflict_resolve = 'kick_old'\n{own}")).is_empty());
        let other = format!("{own}VirtualHost \"example.org\"\n  component_conflict_resolve = \"kick_old\"\n");
        assert_eq!(bad(&other).len(), 1);
        assert!(
            bad("Component \"conference.example.org\" \"muc\"\n").iter().any(|found| found.contains("own \"muc\""))
        );
        assert!(bad("VirtualHost \"example.org\"\n").iter().any(|found| found.contains("no Component")));
    }
}
