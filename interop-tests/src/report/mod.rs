//! Results: what was asked, what came of it, and the four ways to show it.
//! In: one [`Outcome`] per case as it ends. Out: a table, JSON, JUnit XML, an HTML matrix.

mod html;
mod junit;
mod table;

use serde::{Deserialize, Serialize};

pub use html::html;
pub use junit::junit;
pub use table::{Answer, Recorder, summary};

/// How a case ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    /// The implementation did something else than the specification says.
    Fail,
    /// The implementation, or the configuration of this run, does not offer what the case needs.
    Unsupported,
    /// The suite could not ask the question, or doubts its own answer. Never held against the implementation.
    HarnessError,
}

impl Verdict {
    pub const ALL: [Self; 4] = [
        Self::Pass,
        Self::Fail,
        Self::Unsupported,
        Self::HarnessError,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unsupported => "unsupported",
            Self::HarnessError => "harness-error",
        }
    }

    /// One sign per verdict, so that colour is never the only difference.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Pass => "✓",
            Self::Fail => "✗",
            Self::Unsupported => "–",
            Self::HarnessError => "!",
        }
    }
}

/// The levels of the suite, each needing more of an implementation than the one before.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Level {
    #[serde(rename = "L0")]
    Codec,
    #[serde(rename = "L1")]
    Crypto,
    #[serde(rename = "L2")]
    Session,
    #[serde(rename = "L3")]
    Relay,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Codec, Self::Crypto, Self::Session, Self::Relay];

    pub fn name(self) -> &'static str {
        match self {
            Self::Codec => "L0",
            Self::Crypto => "L1",
            Self::Session => "L2",
            Self::Relay => "L3",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Codec => "codec",
            Self::Crypto => "crypto",
            Self::Session => "session",
            Self::Relay => "relay",
        }
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("{text} is not one of L0, L1, L2, L3"))
    }
}

/// One case and how it ended.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Outcome {
    pub level: Level,
    /// Unique within a level: `quic/wrong-nonce`, `canonical-07`.
    pub case: String,
    pub title: String,
    /// Requirements of `spec/` that the case shows.
    pub requirements: Vec<String>,
    pub verdict: Verdict,
    /// What was got and what was expected; empty for a plain pass.
    pub detail: String,
    pub took_us: u64,
}

/// One run against one implementation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Report {
    pub implementation: String,
    pub version: String,
    /// Unix time of the start, in milliseconds.
    pub started_ms: u64,
    pub outcomes: Vec<Outcome>,
}

impl Report {
    pub fn count(&self, verdict: Verdict) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.verdict == verdict)
            .count()
    }

    /// A run is good without `fail` and `harness-error`, and when it asked anything at all.
    pub fn is_good(&self) -> bool {
        self.count(Verdict::Fail) == 0
            && self.count(Verdict::HarnessError) == 0
            && self.count(Verdict::Pass) > 0
    }
}

/// Text for XML and HTML. Control characters that neither allows become a replacement character.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn sample() -> Report {
        let outcome = |level, case: &str, verdict, detail: &str| Outcome {
            level,
            case: case.to_owned(),
            title: format!("title of {case}"),
            requirements: vec!["ENV-4.3".to_owned()],
            verdict,
            detail: detail.to_owned(),
            took_us: 1_500,
        };
        Report {
            implementation: "pli-<node>".to_owned(),
            version: "0.1.0".to_owned(),
            started_ms: 1_700_000_000_000,
            outcomes: vec![
                outcome(Level::Codec, "frame-01", Verdict::Pass, ""),
                outcome(
                    Level::Codec,
                    "frame-02",
                    Verdict::Fail,
                    "got <EXPIRED> & expected \"OK\"\u{1}",
                ),
                outcome(
                    Level::Session,
                    "quic/hello",
                    Verdict::Unsupported,
                    "no QUIC port",
                ),
                outcome(Level::Relay, "submit", Verdict::HarnessError, "no route"),
            ],
        }
    }

    #[test]
    fn good_means_asked_and_without_fail_or_harness_error() {
        let mut report = sample();
        assert!(!report.is_good());
        report.outcomes.retain(|o| o.verdict != Verdict::Fail);
        assert!(!report.is_good());
        report
            .outcomes
            .retain(|o| o.verdict != Verdict::HarnessError);
        assert!(report.is_good());
        report.outcomes.retain(|o| o.verdict != Verdict::Pass);
        assert!(!report.is_good());
    }

    #[test]
    fn json_comes_back() {
        let text = serde_json::to_string(&sample()).expect("JSON");
        let back: Report = serde_json::from_str(&text).expect("own JSON");
        assert_eq!(back.outcomes.len(), 4);
        assert!(text.contains("\"harness-error\"") && text.contains("\"L2\""));
    }

    #[test]
    fn case_61_hostile_text_is_escaped() {
        assert_eq!(escape("<b>&\"'\u{0}"), "&lt;b&gt;&amp;&quot;&#39;\u{fffd}");
    }
}
