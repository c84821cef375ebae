//! `status`: once, or again and again. While the database is away, what the local node says of itself is better than
//! nothing.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::local::Local;
use super::paint;
use super::pair::{Given, desk};
use crate::command::text::{Text, Tone, span};
use crate::command::{Answer, Command, Desk, Verdict};
use crate::config::Config;

/// How often a watcher looks.
const LOOK: Duration = Duration::from_secs(1);
/// It cannot be told how the pair fares.
const UNTOLD: u8 = 3;

/// Says how the pair of the configuration stands.
pub(super) async fn run(command: &Command, given: &Given) -> ExitCode {
    let config = match Config::read(&given.config) {
        Ok(config) => config,
        Err(why) => {
            paint::complain(&why.to_string());
            return ExitCode::from(UNTOLD);
        }
    };
    if given.is_watching {
        return watch(command, given, &config).await;
    }
    match look(command, given, &config, &mut None).await {
        Ok(answer) => {
            show(&answer, given);
            ExitCode::from(code(&answer))
        }
        Err(why) => {
            paint::complain(&why);
            say_untold(&why, given, &config).await;
            ExitCode::from(UNTOLD)
        }
    }
}

/// Looks for ever; ends when nobody reads any more.
async fn watch(command: &Command, given: &Given, config: &Config) -> ExitCode {
    let mut kept = None;
    let mut last: Vec<String> = Vec::new();
    let mut beat = tokio::time::interval(LOOK);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let seen = look(command, given, config, &mut kept).await;
        let gist = match &seen {
            Ok(Answer::Status(status)) => status.gist(),
            Ok(Answer::History(_) | Answer::Orders(_)) => Vec::new(),
            Err(why) => vec![format!("cannot tell: {why}")],
        };
        let is_read = if paint::is_terminal() && !given.is_json {
            paint::clear();
            seen.map_or_else(|why| paint::page(&complaint(&why)), |answer| paint::page(&answer.text()))
        } else if gist == last {
            true
        } else if given.is_json {
            seen.map_or_else(|why| paint::json(&untold(&why)), |answer| paint::json(&answer))
        } else {
            let now = now();
            gist.iter().filter(|line| !last.contains(line)).all(|line| paint::tell(&format!("{now} {line}")))
        };
        if !is_read {
            return ExitCode::SUCCESS;
        }
        last = gist;
    }
}

async fn look(command: &Command, given: &Given, config: &Config, kept: &mut Option<Desk>) -> Result<Answer, String> {
    if kept.is_none() {
        *kept = Some(desk(config).await?);
    }
    let Some(desk) = kept else { return Err("there is no database".to_owned()) };
    desk.run(command, &given.request()).await.map_err(|why| why.to_string())
}

fn show(answer: &Answer, given: &Given) {
    if given.is_json {
        paint::json(answer);
    } else {
        paint::page(&answer.text());
    }
}

fn code(answer: &Answer) -> u8 {
    match answer {
        Answer::Status(status) => match status.verdict {
            Verdict::Good => 0,
            Verdict::Troubled => 1,
            Verdict::Unserved => 2,
        },
        Answer::History(_) | Answer::Orders(_) => 0,
    }
}

/// What the local node says of itself, where the database says nothing.
async fn say_untold(why: &str, given: &Given, config: &Config) {
    let node = match Local::of(config) {
        Ok(local) => local.ready().await,
        Err(why) => Err(why),
    };
    if given.is_json {
        let mut value = untold(why);
        value["local"] = node.unwrap_or_else(|why| json!({ "error": why }));
        paint::json(&value);
        return;
    }
    match node {
        Ok(node) => {
            paint::tell("the running node says of itself:");
            for domain in node["domains"].as_array().into_iter().flatten() {
                let word = |key: &str| domain[key].as_str().unwrap_or_default().to_owned();
                paint::tell(&format!("  {}: {}", word("domain"), word("state")));
            }
        }
        Err(why) => paint::complain(&why),
    }
}

fn untold(why: &str) -> serde_json::Value {
    json!({ "verdict": "unknown", "sentence": why })
}

fn complaint(why: &str) -> Text {
    let mut text = Text::default();
    text.line(vec![span(format!("cannot tell: {why}"), Tone::Bad)]);
    text
}

fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    crate::command::text::at(i64::try_from(since.as_millis()).unwrap_or_default())
}
