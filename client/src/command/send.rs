//! `pli service send`: one letter, or a file of any size.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use pli_protocol::content::{Content, HttpsUrl, Kind, Link, Notice, Text};
use pli_protocol::custody::Disposition;
use pli_protocol::envelope::{Importance, Urgency};
use serde_json::json;

use super::exit::{Exit, Failed};
use super::{Home, fact, places};
use crate::clock;
use crate::content_json;
use crate::partner::{self, Format};
use crate::screen::{Colour, Output, plain, when};
use crate::service::campaign::{Campaign, LINE_MAX, Outcome, Progress, Summary};
use crate::service::draft::{Draft, Handling};
use crate::service::{PATIENCE, Service, ServiceError};

const DAY_MS: u64 = 86_400_000;

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    #[command(flatten)]
    home: Home,
    /// Send every line of a file of NDJSON; - is standard input
    ///
    /// A line is {"to": "CONTACT", "event": {…}} with a partner's event, whose recipient_fc_hash is the
    /// contact where "to" is left out, or {"to": "CONTACT", "content": {"notice": {"title": "…", "body": "…"}}}.
    /// "urgency", "importance" and "supersedes" may be added. A run that was killed goes on where it was.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "event", "content", "title", "body"])]
    file: Option<PathBuf>,
    /// Where the file's progress is kept; by default FILE.pli-state
    #[arg(long, value_name = "FILE", requires = "file")]
    state: Option<PathBuf>,
    /// Where the outcome and receipt of each line go; by default FILE.pli-results
    #[arg(long, value_name = "FILE", requires = "file")]
    results: Option<PathBuf>,
    /// To whom: a contact's name
    #[arg(long, value_name = "CONTACT")]
    to: Option<String>,
    /// A partner's event (PUT /api/v2/event or POST /api/v1/notifications), as JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["content", "title", "body"])]
    event: Option<PathBuf>,
    /// A content, as JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["title", "body"])]
    content: Option<PathBuf>,
    /// Title of a notice, one line
    #[arg(long, requires = "body")]
    title: Option<String>,
    /// Body of a notice
    #[arg(long, requires = "title")]
    body: Option<String>,
    /// Part of a notice that is shown only on an unlocked device
    #[arg(long, requires = "title")]
    private_body: Option<String>,
    /// Link of a notice
    #[arg(long, requires = "title", value_name = "URL")]
    link: Option<String>,
    /// How soon to wake a device
    #[arg(long, value_enum, conflicts_with = "file")]
    urgency: Option<UrgencyOption>,
    /// What the citizen is expected to do
    #[arg(long, value_enum, conflicts_with = "file")]
    importance: Option<ImportanceOption>,
    /// For how many days the letter is kept for its citizen
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=400))]
    keep_days: u64,
    /// Give up after so many seconds without any progress
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE.as_secs())]
    patience: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UrgencyOption {
    VeryLow,
    Low,
    Normal,
    High,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ImportanceOption {
    Information,
    Action,
    Legal,
}

pub(super) async fn run(args: SendArgs, out: Output) -> Result<Exit, Failed> {
    let service = Service::open(&args.home.folder("service")?).await?;
    service.check_listed().await?;
    let exit = match &args.file {
        Some(file) => send_file(&service, file.clone(), &args, out).await,
        None => send_one(&service, &args, out).await,
    };
    service.hang_up().await;
    exit
}

async fn send_one(service: &Service, args: &SendArgs, out: Output) -> Result<Exit, Failed> {
    let (content, hash, urgency) = content(args)?;
    let to = args.to.clone().or(hash);
    let to = to.ok_or_else(|| Failed::new("whom to? say --to CONTACT"))?;
    let contact = service.contacts().find(&to).map_err(ServiceError::from)?;
    let now = clock::now();
    let handling = Handling {
        urgency: args.urgency.map_or(urgency, UrgencyOption::value),
        importance: args
            .importance
            .map_or(Importance::Information, ImportanceOption::value),
        expires: now.plus_ms(args.keep_days * DAY_MS),
        ..Handling::new(now)
    };
    let draft = Draft::new(contact.grant, &content, handling)
        .map_err(|error| Failed::new(format!("content: {error}")))?;
    let sent = service
        .send_one(draft, Duration::from_secs(args.patience))
        .await?;
    let refused = matches!(sent.disposition, Disposition::Refused(_));
    let outcome = Outcome::from(sent.clone());
    let json = outcome.to_json(1, Some(&contact.name)).unwrap_or_default();
    if out.json {
        out.json(&json);
    } else {
        let (word, colour) = match sent.disposition {
            Disposition::Accepted => ("accepted".to_owned(), Colour::Good),
            Disposition::Duplicate { .. } => ("duplicate".to_owned(), Colour::Doubt),
            Disposition::Refused(code) => (format!("refused: {code}"), Colour::Bad),
        };
        fact(out, "letter", &sent.id.to_string());
        fact(out, "to", &contact.name);
        out.line(format!(
            "{} {}",
            out.paint(Colour::Faint, &format!("{:<14}", "node")),
            out.paint(colour, &word)
        ));
        if let Ok((receipt, _)) = pli_protocol::custody::Receipt::decode(sent.receipt) {
            let signed = format!(
                "signed by {} at {}, verified",
                receipt.node,
                when(receipt.at, out.lang)
            );
            fact(out, "receipt", &signed);
        }
    }
    Ok(if refused { Exit::NotDone } else { Exit::Done })
}

/// What to say, whom a partner's event names, and how urgent it is.
fn content(args: &SendArgs) -> Result<(Content, Option<String>, Urgency), Failed> {
    if let Some(path) = &args.event {
        let body = places::read(path, LINE_MAX as u64)?;
        let value = serde_json::from_slice(&body)
            .map_err(|error| Failed::new(format!("event: {error}")))?;
        let format = Format::of(&value);
        let event = partner::convert_value(value, format)
            .map_err(|error| Failed::new(format!("event: {error}")))?;
        for adjustment in &event.adjustments {
            eprintln!("pli: {}", plain(&adjustment.to_string()));
        }
        let urgency = event.urgency();
        return Ok((event.content, Some(event.recipient.to_string()), urgency));
    }
    if let Some(path) = &args.content {
        let body = places::read(path, LINE_MAX as u64)?;
        let value = serde_json::from_slice(&body)
            .map_err(|error| Failed::new(format!("content: {error}")))?;
        let content = content_json::from_json(value)
            .map_err(|error| Failed::new(format!("content: {error}")))?;
        return Ok((content, None, Urgency::Normal));
    }
    let (Some(title), Some(body)) = (&args.title, &args.body) else {
        return Err(Failed::new(
            "what to send? say --title and --body, --event FILE, --content FILE or --file FILE",
        ));
    };
    let mut notice = Notice::new(Text::french(title), Text::french(body));
    notice.private_body = args.private_body.as_ref().map(Text::french);
    if let Some(url) = &args.link {
        let url =
            HttpsUrl::new(url).map_err(|problem| Failed::new(format!("--link: {problem}")))?;
        notice.link = Some(Link { url, label: None });
    }
    Ok((Kind::Notice(notice).into(), None, Urgency::Normal))
}

async fn send_file(
    service: &Service,
    file: PathBuf,
    args: &SendArgs,
    out: Output,
) -> Result<Exit, Failed> {
    let lifetime_ms = args.keep_days * DAY_MS;
    let patience = Duration::from_secs(args.patience);
    let mut campaign = if file.as_os_str() == "-" {
        Campaign {
            file: None,
            state: None,
            results: None,
            lifetime_ms,
            patience,
        }
    } else {
        Campaign::of_file(file, lifetime_ms, patience)
    };
    campaign.state = args.state.clone().or(campaign.state);
    campaign.results = args.results.clone().or(campaign.results);

    let mut shown = Shown::new(out);
    let summary = campaign.run(service, |progress| shown.show(progress)).await;
    shown.finish();
    let summary = summary?;
    tell(&summary, &campaign, out);
    let counts = summary.counts;
    Ok(
        match (
            counts.refused + counts.invalid,
            counts.accepted + counts.duplicate,
        ) {
            (0, _) => Exit::Done,
            (_, 0) => Exit::NotDone,
            _ => Exit::InPart,
        },
    )
}

/// A bar on a terminal, a plain line now and then elsewhere.
struct Shown {
    bar: Option<ProgressBar>,
    last: std::time::Instant,
    first: bool,
    quiet: bool,
}

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Shown {
    fn new(out: Output) -> Self {
        let style = "{elapsed_precise} [{wide_bar}] {bytes}/{total_bytes} {msg}";
        let bar = out.is_watched().then(|| {
            let style = ProgressStyle::with_template(style).expect("a constant template");
            ProgressBar::new(0).with_style(style.progress_chars("=> "))
        });
        Self {
            bar,
            last: std::time::Instant::now(),
            first: true,
            quiet: out.json,
        }
    }

    fn show(&mut self, progress: &Progress) {
        let counts = progress.counts;
        let text = format!(
            "{} accepted, {} duplicate, {} refused, {} invalid",
            counts.accepted, counts.duplicate, counts.refused, counts.invalid
        );
        match &self.bar {
            Some(bar) => {
                bar.set_length(progress.of_bytes.unwrap_or(progress.bytes));
                bar.set_position(progress.bytes);
                bar.set_message(text);
            }
            None if self.quiet => {}
            None if self.first || self.last.elapsed() >= LINE_EVERY => {
                eprintln!("{} lines: {text}", progress.lines);
                self.last = std::time::Instant::now();
                self.first = false;
            }
            None => {}
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn tell(summary: &Summary, campaign: &Campaign, out: Output) {
    let counts = summary.counts;
    if out.json {
        out.json(&json!({
            "lines": summary.lines,
            "resumed_after": summary.resumed_after,
            "accepted": counts.accepted,
            "duplicate": counts.duplicate,
            "refused": counts.refused,
            "invalid": counts.invalid,
            "elapsed_ms": u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
            "results": campaign.results,
        }));
        return;
    }
    if summary.resumed_after > 0 {
        fact(
            out,
            "resumed after",
            &format!("{} lines", summary.resumed_after),
        );
    }
    fact(out, "accepted", &counts.accepted.to_string());
    fact(out, "duplicate", &counts.duplicate.to_string());
    fact(out, "refused", &counts.refused.to_string());
    fact(out, "invalid", &counts.invalid.to_string());
    fact(
        out,
        "in",
        &format!("{:.1} s", summary.elapsed.as_secs_f64()),
    );
    if let Some(results) = &campaign.results {
        fact(out, "results", &results.display().to_string());
    }
}

impl UrgencyOption {
    fn value(self) -> Urgency {
        match self {
            Self::VeryLow => Urgency::VeryLow,
            Self::Low => Urgency::Low,
            Self::Normal => Urgency::Normal,
            Self::High => Urgency::High,
        }
    }
}

impl ImportanceOption {
    fn value(self) -> Importance {
        match self {
            Self::Information => Importance::Information,
            Self::Action => Importance::Action,
            Self::Legal => Importance::Legal,
        }
    }
}
