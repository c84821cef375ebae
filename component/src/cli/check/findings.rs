//! What a check found: verdicts with a sentence and what to do, told as they come or as JSON in the end.

use serde::Serialize;

use crate::cli::paint::{self, Verdict};

/// One verdict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// On what.
    pub(super) what: &'static str,
    pub(super) sentence: String,
    /// What to paste or do; empty if nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) remedy: String,
}

/// All verdicts so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Findings {
    all: Vec<Finding>,
    is_json: bool,
}

impl Finding {
    pub(super) fn good(what: &'static str, sentence: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Good, what, sentence: sentence.into(), remedy: String::new() }
    }

    pub(super) fn doubtful(what: &'static str, sentence: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Doubtful, what, sentence: sentence.into(), remedy: remedy.into() }
    }

    pub(super) fn bad(what: &'static str, sentence: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::Bad, what, sentence: sentence.into(), remedy: remedy.into() }
    }

    pub(super) fn skipped(what: &'static str, sentence: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { verdict: Verdict::NotTried, what, sentence: sentence.into(), remedy: remedy.into() }
    }
}

impl Findings {
    pub(super) fn new(is_json: bool) -> Findings {
        Findings { all: Vec::new(), is_json }
    }

    /// One more; a person reads it at once.
    pub(super) fn add(&mut self, finding: Finding) {
        if !self.is_json {
            paint::verdict(finding.verdict, finding.what, &finding.sentence);
            for line in finding.remedy.lines() {
                paint::tell(&format!("                  {line}"));
            }
        }
        self.all.push(finding);
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// The last line; whether nothing failed.
    pub(super) fn conclude(&self, is_pair: bool) -> bool {
        let has = |verdict: Verdict| self.all.iter().any(|finding| finding.verdict == verdict);
        let is_good = !has(Verdict::Bad);
        let sentence = match (is_good, has(Verdict::Doubtful), is_pair) {
            (false, ..) => "not ready: see FAIL above",
            (true, true, _) => "tandem-muc run would serve; look at what is warned of above",
            (true, false, true) => "all well: tandem-muc run would serve, and either node could take over",
            (true, false, false) => "all well: tandem-muc run would serve",
        };
        if self.is_json {
            paint::json(&serde_json::json!({ "is_good": is_good, "sentence": sentence, "findings": self.all }));
        } else {
            paint::tell(sentence);
        }
        is_good
    }
}
