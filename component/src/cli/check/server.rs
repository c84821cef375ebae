//! The XMPP server's own configuration: from outside most of it cannot be seen, so the lines to look for are named; a
//! file that is given is read.

use std::path::{Path, PathBuf};

use super::findings::Finding;
use super::{ejabberd, prosody};
use crate::config::Config;

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 4 * 1024 * 1024;

/// Reads `files`, or says what to look for.
pub(super) fn check(config: &Config, files: &[PathBuf]) -> Vec<Finding> {
    if files.is_empty() {
        return if config.pair.is_some() { unseen(config) } else { Vec::new() };
    }
    files.iter().flat_map(|path| read(config, path)).collect()
}

/// What only the server's configuration says.
fn unseen(config: &Config) -> Vec<Finding> {
    let what = "the server's file is not read without --server-config PATH; look for";
    let domains: Vec<&str> = config.services.iter().map(|service| service.domain.0.as_str()).collect();
    let balanced = format!("no domain_balancing for {}\nglobal_routes: false", domains.join(", "));
    vec![
        Finding::skipped("prosody", format!("{what} (in each Component; the second above all hosts)"), prosody::LINES),
        Finding::skipped("ejabberd", format!("{what} (the second in the listener)"), balanced),
    ]
}

fn read(config: &Config, path: &Path) -> Vec<Finding> {
    let what = if is_yaml(path) { "ejabberd" } else { "prosody" };
    let size = std::fs::metadata(path).map(|about| about.len());
    let text = match size {
        Ok(size) if size > FILE_MAX => Err(format!("{size} bytes are too many for a configuration")),
        Ok(_) => {
            std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|e| e.to_string())
        }
        Err(why) => Err(why.to_string()),
    };
    let text = match text {
        Ok(text) => text,
        Err(why) => return vec![Finding::bad(what, format!("{}: {why}", path.display()), "")],
    };
    let judge = if is_yaml(path) { ejabberd::judge } else { prosody::judge };
    let mut found: Vec<Finding> = Vec::new();
    for finding in config.services.iter().flat_map(|service| judge(&text, service)) {
        // What holds for the whole file is said once.
        if !found.contains(&finding) {
            found.push(finding);
        }
    }
    found
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml")
}
