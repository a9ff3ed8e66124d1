//! `pli service send`: one letter, or a file of any size.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pli_protocol::code::Code;
use pli_protocol::content::{Content, HttpsUrl, Kind, Link, Notice, Text};
use pli_protocol::custody::Disposition;
use pli_protocol::envelope::{Importance, Urgency};
use pli_trust::legible;

use super::exit::{Exit, Failed};
use super::progress::{Shown, Trouble, stopped, tell};
use super::{Home, fact, places, stop_signal};
use crate::clock;
use crate::content_json;
use crate::partner::{self, Format};
use crate::screen::{Colour, Output, plain};
use crate::service::campaign::{BYTE_ORDER_MARK, Campaign, LINE_MAX, Outcome, about_content};
use crate::service::draft::{Draft, Handling, check_readable, is_blank};
use crate::service::{PATIENCE, Service, ServiceError, config};

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
    /// Keep each sealed letter in the service's folder, under letters/: with it `pli evidence get` makes whole evidence
    #[arg(long)]
    keep_letters: bool,
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
    let home = args.home.folder("service")?;
    let patience = Duration::from_secs(args.patience);
    let what = What::of(&args)?;
    let trouble = Arc::new(Trouble::new(args.file.is_some(), patience, out));
    let told = Arc::clone(&trouble);
    let mut service = Service::open(&home)
        .await?
        .on_trouble(move |error| told.tell(error));
    if args.keep_letters {
        service = service.keep_letters(&config::letters_folder(&home))?;
    }
    service.check_listed().await?;
    trouble.towards(service.id().authority(), service.addresses());
    let exit = match what {
        What::File(campaign) => send_file(&service, *campaign, &trouble, out).await,
        What::Letter(letter) => tokio::select! {
            sent = send_one(&service, *letter, &args, out) => sent,
            never = trouble.watch() => match never {},
        },
    };
    service.hang_up().await;
    exit
}

/// What is to be sent, read and checked before anything is made or dialled.
enum What {
    File(Box<Campaign>),
    Letter(Box<Letter>),
}

struct Letter {
    to: String,
    content: Content,
    urgency: Urgency,
}

impl What {
    fn of(args: &SendArgs) -> Result<Self, Failed> {
        if let Some(file) = &args.file {
            let campaign = campaign(file.clone(), args);
            campaign
                .check_input()
                .map_err(|error| Failed::new(format!("{error}; nothing was sent")))?;
            return Ok(Self::File(Box::new(campaign)));
        }
        let (content, hash, urgency) = content(args)?;
        check_readable(&content).map_err(|error| Failed::new(error.to_string()))?;
        let to = args.to.clone().or(hash);
        let to = to.ok_or_else(|| Failed::new("whom to? say --to CONTACT"))?;
        Ok(Self::Letter(Box::new(Letter {
            to,
            content,
            urgency,
        })))
    }
}

async fn send_one(
    service: &Service,
    letter: Letter,
    args: &SendArgs,
    out: Output,
) -> Result<Exit, Failed> {
    let Letter {
        to,
        content,
        urgency,
    } = letter;
    let contact = service.contacts().find(&to).map_err(ServiceError::from)?;
    let now = clock::now();
    let importance = args
        .importance
        .map_or(Importance::Information, ImportanceOption::value);
    if let Some(allowed) = service.allowed() {
        allowed
            .importance(importance)
            .map_err(|error| Failed::coded(error.to_string(), Some(Code::ClassNotAllowed)))?;
        if let Some(url) = allowed.unlisted_link(&content) {
            eprintln!("pli: warning: {}", plain(&allowed.about_link(url.host())));
        }
    }
    let handling = Handling {
        urgency: args.urgency.map_or(urgency, UrgencyOption::value),
        importance,
        expires: now.plus_ms(args.keep_days * DAY_MS),
        ..Handling::new(now)
    };
    let draft = Draft::new(contact.grant, &content, handling)
        .map_err(|error| Failed::new(about_content(&error)))?;
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
                legible(receipt.at)
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
        let value = json_of(&body, path)?;
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
        let content = content_json::from_json(json_of(&body, path)?)
            .map_err(|error| Failed::new(about_content(&error)))?;
        return Ok((content, None, Urgency::Normal));
    }
    let (Some(title), Some(body)) = (&args.title, &args.body) else {
        return Err(Failed::new(
            "what to send? say --title and --body, --event FILE, --content FILE or --file FILE",
        ));
    };
    for (option, text) in [("--title", title), ("--body", body)] {
        if is_blank(text) {
            return Err(Failed::new(format!(
                "{option} is empty: nobody could tell what the letter says; expected a text that can be read"
            )));
        }
    }
    let mut notice = Notice::new(Text::french(title), Text::french(body));
    notice.private_body = args.private_body.as_ref().map(Text::french);
    if let Some(url) = &args.link {
        let url =
            HttpsUrl::new(url).map_err(|problem| Failed::new(format!("--link: {problem}")))?;
        notice.link = Some(Link { url, label: None });
    }
    Ok((Kind::Notice(notice).into(), None, Urgency::Normal))
}

fn json_of(body: &[u8], path: &Path) -> Result<serde_json::Value, Failed> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    serde_json::from_slice(body)
        .map_err(|error| Failed::new(format!("{}: not JSON: {error}", path.display())))
}

fn campaign(file: PathBuf, args: &SendArgs) -> Campaign {
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
    campaign
}

async fn send_file(
    service: &Service,
    campaign: Campaign,
    trouble: &Trouble,
    out: Output,
) -> Result<Exit, Failed> {
    let mut shown = Shown::new(out);
    let summary = tokio::select! {
        summary = campaign.run(service, |progress| {
            trouble.over();
            shown.show(progress);
        }) => Some(summary),
        never = trouble.watch() => match never {},
        () = stop_signal() => None,
    };
    shown.finish();
    let Some(summary) = summary else {
        eprintln!("pli: {}", stopped(&campaign));
        service.hang_up().await;
        // What reads lines waits in a thread that nothing ends; all that counts is on disk.
        std::process::exit(i32::from(Exit::TryLater.number()));
    };
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
