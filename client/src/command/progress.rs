//! What `pli service send --file` says: how far it is, why it waits, what became of it.

use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pli_protocol::code::Code;
use pli_protocol::id::AuthorityId;
use pli_trust::legible;
use serde_json::json;

use super::fact;
use crate::clock;
use crate::content_json::time;
use crate::screen::{Output, counted, plain};
use crate::service::campaign::{Campaign, Fault, Progress, Summary};
use crate::service::submit::SubmitError;

/// Says that the node is away: at once, then now and then.
pub(super) struct Trouble {
    of_file: bool,
    patience: Duration,
    quiet: bool,
    node: OnceLock<Node>,
    said: Mutex<Said>,
}

struct Node {
    authority: AuthorityId,
    addresses: Vec<String>,
}

/// What was said, and what is known.
struct Said {
    last: Option<Instant>,
    /// That no answer came was said, and not yet why.
    without_reason: bool,
    progress: Instant,
    progressed: bool,
    /// A connection was there: the node may have taken what it did not acknowledge.
    reached: bool,
}

/// Without an answer for so long it is said that nobody answers: giving up an attempt takes longer.
const SILENCE: Duration = Duration::from_secs(1);

/// Between two such lines.
const TROUBLE_EVERY: Duration = Duration::from_secs(30);

impl Trouble {
    pub(super) fn new(of_file: bool, patience: Duration, out: Output) -> Self {
        Self {
            of_file,
            patience,
            quiet: out.json,
            node: OnceLock::new(),
            said: Mutex::new(Said {
                last: None,
                without_reason: false,
                progress: Instant::now(),
                progressed: false,
                reached: false,
            }),
        }
    }

    /// Where the letters go: sending begins.
    pub(super) fn towards(&self, authority: &AuthorityId, addresses: Vec<String>) {
        let authority = authority.clone();
        // Said once; there is one node.
        let _ = self.node.set(Node {
            authority,
            addresses,
        });
        self.said().progress = Instant::now();
    }

    /// Something was acknowledged.
    pub(super) fn over(&self) {
        let mut said = self.said();
        said.progress = Instant::now();
        said.progressed = true;
    }

    /// Never ends; says that nobody answers when nobody has for a while.
    pub(super) async fn watch(&self) -> std::convert::Infallible {
        tokio::time::sleep(SILENCE).await;
        self.say_that_nobody_answers();
        std::future::pending().await
    }

    fn say_that_nobody_answers(&self) {
        let mut said = self.said();
        if !said.progressed && said.last.is_none() {
            said.without_reason = true;
            self.say(&mut said, "no answer yet");
        }
    }

    pub(super) fn tell(&self, error: &SubmitError) {
        let mut said = self.said();
        said.reached |= !matches!(error, SubmitError::Reach(_));
        let lately = said.last.is_some_and(|at| at.elapsed() < TROUBLE_EVERY);
        let without_reason = std::mem::take(&mut said.without_reason);
        if !lately || without_reason {
            self.say(&mut said, &error.to_string());
        }
    }

    fn say(&self, said: &mut Said, reason: &str) {
        said.last = Some(Instant::now());
        let left = self.patience.saturating_sub(said.progress.elapsed());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let until = clock::now().plus_ms(left_ms);
        let node = self.node.get();
        let addresses = node.map_or(&[][..], |node| &node.addresses[..]);
        if self.quiet {
            eprintln!(
                "{}",
                json!({ "waiting": reason, "addresses": addresses, "until": time(until) })
            );
            return;
        }
        let whose = node.map_or_else(
            || "the node".to_owned(),
            |node| format!("the node of {} ({})", node.authority, addresses.join(", ")),
        );
        eprintln!(
            "pli: {} cannot be reached: {}. Trying again until {}, {} s more. {}",
            plain(&whose),
            plain(reason),
            legible(until),
            left.as_secs(),
            self.later(said.reached),
        );
    }

    fn later(&self, reached: bool) -> &'static str {
        match (self.of_file, reached) {
            (true, _) => "Ctrl-C stops; the same command then goes on where it was",
            (false, false) => {
                "Ctrl-C stops, and nothing was sent; give the same command later to send it"
            }
            (false, true) => {
                "Ctrl-C stops; the node may have taken the letter already, so the same command later may send it twice"
            }
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("nothing panics while it is held")
    }
}

/// After Ctrl-C.
pub(super) fn stopped(campaign: &Campaign) -> String {
    match &campaign.file {
        Some(file) if campaign.state.is_some() => format!(
            "stopped. The same command goes on with {} where it was; no letter is sent twice",
            file.display()
        ),
        _ => "stopped. What came on standard input cannot be gone on with: some of it was sent"
            .to_owned(),
    }
}

/// A bar on a terminal, a plain line now and then elsewhere.
pub(super) struct Shown {
    bar: Option<ProgressBar>,
    last: Instant,
    first: bool,
    quiet: bool,
    /// What was not written yet.
    pending: Option<String>,
}

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Shown {
    pub(super) fn new(out: Output) -> Self {
        let style = "{elapsed_precise} [{wide_bar}] {bytes}/{total_bytes} {msg}";
        let bar = out.is_watched().then(|| {
            let style = ProgressStyle::with_template(style).expect("a constant template");
            ProgressBar::new(0).with_style(style.progress_chars("=> "))
        });
        Self {
            bar,
            last: Instant::now(),
            first: true,
            quiet: out.json,
            pending: None,
        }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let counts = progress.counts;
        // A line that is blank is no letter.
        let text = format!(
            "{}: {} accepted, {} duplicate, {} refused, {} invalid",
            counted(counts.total(), "line"),
            counts.accepted,
            counts.duplicate,
            counts.refused,
            counts.invalid
        );
        match &self.bar {
            Some(bar) => {
                bar.set_length(progress.of_bytes.unwrap_or(progress.bytes));
                bar.set_position(progress.bytes);
                bar.set_message(text.clone());
                self.pending = Some(text);
            }
            None if self.quiet => {}
            None if self.first || self.last.elapsed() >= LINE_EVERY => {
                eprintln!("{text}");
                self.pending = None;
                self.last = Instant::now();
                self.first = false;
            }
            None => self.pending = Some(text),
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        // The last line is the final one.
        if let Some(line) = &self.pending {
            eprintln!("{line}");
        }
    }
}

pub(super) fn tell(summary: &Summary, campaign: &Campaign, out: Output) {
    let counts = summary.counts;
    if out.json {
        out.json(&json!({
            "lines": summary.lines,
            "resumed_after": summary.resumed_after,
            "accepted": counts.accepted,
            "duplicate": counts.duplicate,
            "refused": counts.refused,
            "invalid": counts.invalid,
            "faults": summary.faults,
            "unlisted_links": summary.unlisted_links.keys().collect::<Vec<_>>(),
            "failed": summary.failed,
            "elapsed_ms": u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
            "results": campaign.results,
        }));
        return;
    }
    if summary.resumed_after > 0 {
        fact(
            out,
            "resumed after",
            &counted(summary.resumed_after, "line"),
        );
    }
    fact(out, "accepted", &counts.accepted.to_string());
    fact(out, "duplicate", &counts.duplicate.to_string());
    fact(out, "refused", &counts.refused.to_string());
    fact(out, "invalid", &counts.invalid.to_string());
    for (code, fault) in &summary.faults {
        out.line(format!("  {}", plain(&about(code, fault))));
    }
    for (host, lines) in &summary.unlisted_links {
        out.line(format!(
            "  warning: {}, the first {}, with a link to {}, which the authority did not list: devices show it, but it cannot be clicked",
            counted(lines.count, "line"),
            lines.first,
            plain(host)
        ));
    }
    fact(
        out,
        "in",
        &format!("{:.1} s", summary.elapsed.as_secs_f64()),
    );
    if let Some(results) = &campaign.results {
        fact(out, "results", &results.display().to_string());
    }
    if let Some(failed) = &summary.failed {
        fact(out, "failed lines", &failed.display().to_string());
        out.line(format!(
            "Next: correct them there, then pli service send --file {}",
            failed.display()
        ));
    }
}

fn about(code: &str, fault: &Fault) -> String {
    let numbers: Vec<String> = fault.lines.iter().map(u64::to_string).collect();
    let more = if fault.count > fault.lines.len() as u64 {
        ", …"
    } else {
        ""
    };
    let noun = if fault.count == 1 { "line" } else { "lines" };
    let mut text = format!(
        "{:>7} {code}: {noun} {}{more}",
        fault.count,
        numbers.join(", ")
    );
    if let Some(reason) = &fault.reason {
        text.push_str("; the first: ");
        text.push_str(reason);
    }
    if Code::from_name(code).is_some_and(Code::retryable) {
        text.push_str("; may be sent later as they are");
    }
    text
}
