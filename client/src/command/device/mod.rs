//! `pli device`: what a citizen does. Every word is in French and in English.

pub(in crate::command) mod codes;
mod failures;
mod faults;
mod help;
mod inbox;
mod letter;
mod state;
mod texts;
mod usage;
mod watch;

pub(super) use faults::NO_FOLDER;
pub(super) use help::in_french;
pub(super) use usage::explain;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use pli_protocol::account::InvitationLink;
use pli_protocol::envelope::Class;
use pli_protocol::id::{AuthorityId, EnvelopeId, IdError};
use serde_json::json;

use super::exit::{Exit, Failed};
use super::{Home, fact};
use crate::content_json::time;
use crate::device::enrol::{EnrolRequest, enrol};
use crate::device::{Device, Standing, grants};
use crate::folder::{self, Secrecy};
use crate::screen::Output;

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// Join a home with the invitation that its operator gave
    Enrol(EnrolArgs),
    /// Let an authority write; prints the grant to give to it
    Grant(GrantArgs),
    /// Fetch what is new and list the letters
    Inbox(InboxArgs),
    /// Show a letter, verified again
    Show(ShowArgs),
    /// Make one file that proves, offline and years later, who sent a letter and when it came
    Evidence(EvidenceArgs),
    /// Stay connected and show letters as they come
    Watch(watch::WatchArgs),
    /// Tell the home, signed, that this device has its letters
    Ack(AckArgs),
}

#[derive(Debug, Args)]
pub(super) struct EnrolArgs {
    #[command(flatten)]
    home: Home,
    /// pli:invite?home=…
    #[arg(value_name = "INVITATION")]
    link: InvitationLink,
    /// Where the directory can be fetched: a folder or an https address
    #[arg(long, value_name = "DIR|URL", env = "PLI_DIRECTORY")]
    directory: String,
    /// For development alone: accepts published test keys
    #[arg(long)]
    dev: bool,
}

#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    #[command(flatten)]
    home: Home,
    /// Who may write: interieur.gouv.fr
    authority: AuthorityId,
    /// What it may write
    #[arg(long, value_enum, value_delimiter = ',', default_value = "message")]
    accept: Vec<ClassOption>,
    /// Make a new grant although one was given
    #[arg(long)]
    renew: bool,
    /// Write the grant to this file instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClassOption {
    Message,
    Alert,
    Control,
}

#[derive(Debug, Args)]
pub(super) struct InboxArgs {
    #[command(flatten)]
    home: Home,
    /// Only what is here already
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    home: Home,
    /// Its number in the inbox
    #[arg(value_name = "NUMBER")]
    seq: u64,
    /// Also write the letter's signed envelope to this file, byte for byte: for pli inspect
    #[arg(long, value_name = "FILE")]
    signed: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct EvidenceArgs {
    #[command(flatten)]
    home: Home,
    /// Its number in the inbox, or its id
    #[arg(value_name = "NUMBER|ID")]
    letter: Which,
    /// Where the bundle goes; nothing is overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// How a letter of the inbox is named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Which {
    Number(u64),
    Id(EnvelopeId),
}

impl FromStr for Which {
    type Err = IdError;

    /// An id has far more digits than any number.
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.parse() {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => text.parse().map(Self::Id),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct AckArgs {
    #[command(flatten)]
    home: Home,
    /// Which letters; by default every one that was not handed over yet
    #[arg(value_name = "NUMBER")]
    seqs: Vec<u64>,
}

pub(super) async fn run(command: DeviceCommand, out: Output) -> Result<Exit, Failed> {
    match command {
        DeviceCommand::Enrol(args) => run_enrol(args, out).await,
        DeviceCommand::Grant(args) => run_grant(&args, out).await,
        DeviceCommand::Inbox(args) => inbox::run(&args, out).await,
        DeviceCommand::Show(args) => inbox::show(&args, out).await,
        DeviceCommand::Evidence(args) => inbox::evidence(&args, out).await,
        DeviceCommand::Watch(args) => watch::run(&args, out).await,
        DeviceCommand::Ack(args) => inbox::ack(&args, out).await,
    }
}

async fn open(home: &Home, standing: Standing) -> Result<Device, Failed> {
    Ok(Device::open(&home.folder("device")?, standing).await?)
}

async fn run_enrol(args: EnrolArgs, out: Output) -> Result<Exit, Failed> {
    let folder = args.home.folder("device")?;
    let request = EnrolRequest {
        link: args.link,
        source: args.directory,
        dev: args.dev,
    };
    let enrolled = enrol(&folder, &request)
        .await
        .map_err(|error| failures::of_enrolment(error, &request, &folder))?;
    if out.json {
        out.json(&json!({
            "home": enrolled.home.to_string(),
            "account": enrolled.account.to_string(),
            "device": enrolled.device.to_string(),
            "folder": folder,
        }));
    } else {
        fact(out, texts::HOME.on(out), &enrolled.home.to_string());
        fact(out, texts::DEVICE.on(out), &enrolled.device.to_string());
        fact(out, texts::FOLDER.on(out), &folder.display().to_string());
        out.line("");
        out.line(texts::NEXT_GRANT.on(out));
    }
    Ok(Exit::Done)
}

async fn run_grant(args: &GrantArgs, out: Output) -> Result<Exit, Failed> {
    let mut device = open(&args.home, Standing::Working).await?;
    let accepts: BTreeSet<Class> = args.accept.iter().map(|class| class.value()).collect();
    let grant = device.grant(&args.authority, accepts, args.renew).await;
    device.hang_up().await;
    let grant = grant?;
    let text = grants::to_text(&grant);
    if let Some(path) = &args.out {
        folder::write(path, format!("{text}\n").as_bytes(), Secrecy::Owner)
            .map_err(|error| Failed::of_file(&error))?;
    }
    if out.json {
        out.json(&json!({
            "authority": args.authority.to_string(),
            "mailbox": grant.grant().mailbox.to_string(),
            "issued": time(grant.grant().issued),
            "grant": text,
        }));
    } else if let Some(path) = &args.out {
        fact(out, texts::GRANT.on(out), &path.display().to_string());
    } else {
        out.line(&text);
    }
    Ok(Exit::Done)
}

impl ClassOption {
    fn value(self) -> Class {
        match self {
            Self::Message => Class::Message,
            Self::Alert => Class::Alert,
            Self::Control => Class::Control,
        }
    }
}
