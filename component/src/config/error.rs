//! What is wrong with a configuration: one sentence, the file, the line.

use std::fmt;
use std::io;
use std::path::Path;

/// What is wrong with a configuration, as one sentence with file and line.
#[derive(Debug)]
pub struct ConfigError(String);

impl ConfigError {
    /// A sentence as it is.
    pub(crate) fn plain(sentence: impl Into<String>) -> ConfigError {
        ConfigError(format!("config: {}", sentence.into()))
    }

    pub(super) fn unreadable(path: &Path, source: &io::Error) -> ConfigError {
        ConfigError::plain(format!("cannot read {}: {source}; name the file with --config", path.display()))
    }

    /// A sentence about what stands at that byte of the text.
    pub(super) fn at(path: &Path, text: &str, at: usize, sentence: &str) -> ConfigError {
        ConfigError::plain(format!("{sentence} ({}:{})", file_name(path), line_of(text, at)))
    }

    pub(super) fn from_toml(path: &Path, text: &str, source: &toml::de::Error) -> ConfigError {
        ConfigError::at(path, text, source.span().map_or(0, |span| span.start), &with_nearest(source.message()))
    }

    /// A sentence about `key`, found again in the text for its line.
    pub(super) fn in_key(path: &Path, text: &str, key: &str, sentence: &str) -> ConfigError {
        let is_key =
            |line: &&str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
        let place = match text.lines().collect::<Vec<_>>().iter().position(is_key) {
            Some(nth) if !key.is_empty() => format!("{}:{}", file_name(path), nth + 1),
            _ => file_name(path),
        };
        ConfigError::plain(format!("{sentence} ({place})"))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count() + 1
}

/// Turns serde's list of expected keys into the nearest one.
pub(super) fn with_nearest(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(unknown) = quoted.next().filter(|_| message.starts_with("unknown field")) else {
        return message.lines().collect::<Vec<_>>().join(" ");
    };
    let nearest = quoted.max_by(|a, b| strsim::jaro_winkler(a, unknown).total_cmp(&strsim::jaro_winkler(b, unknown)));
    match nearest {
        Some(known) => format!("unknown key \"{unknown}\"; the nearest known one here is \"{known}\""),
        None => format!("unknown key \"{unknown}\""),
    }
}
