//! `pli device`: what a citizen does. Every word is in French and in English.

mod letter;
mod state;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::{Args, Subcommand, ValueEnum};
use pli_protocol::account::InvitationLink;
use pli_protocol::envelope::Class;
use pli_protocol::id::{AuthorityId, EnvelopeId};
use serde_json::json;

use super::exit::{Exit, Failed};
use super::{Home, fact};
use crate::content_json::time;
use crate::device::enrol::{EnrolRequest, enrol};
use crate::device::{Device, DeviceError, Shown, Standing, grants};
use crate::folder::{self, Secrecy};
use crate::screen::{Colour, Lang, Output, plain, table, when};

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
        DeviceCommand::Inbox(args) => run_inbox(&args, out).await,
        DeviceCommand::Show(args) => run_show(&args, out).await,
        DeviceCommand::Watch(args) => watch::run(&args, out).await,
        DeviceCommand::Ack(args) => run_ack(&args, out).await,
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
    let enrolled = enrol(&folder, &request).await?;
    if out.json {
        out.json(&json!({
            "home": enrolled.home.to_string(),
            "account": enrolled.account.to_string(),
            "device": enrolled.device.to_string(),
            "folder": folder,
        }));
    } else {
        fact(
            out,
            out.pick("hébergeur", "home"),
            &enrolled.home.to_string(),
        );
        fact(
            out,
            out.pick("appareil", "device"),
            &enrolled.device.to_string(),
        );
        fact(
            out,
            out.pick("dossier", "folder"),
            &folder.display().to_string(),
        );
        out.line("");
        out.line(out.pick(
            "Ensuite, pour qu'une administration puisse vous écrire : pli device grant ADMINISTRATION",
            "Next, to let an authority write to you: pli device grant AUTHORITY",
        ));
    }
    Ok(Exit::Done)
}

async fn run_grant(args: &GrantArgs, out: Output) -> Result<Exit, Failed> {
    let mut device = open(&args.home, Standing::Working).await?;
    let accepts: BTreeSet<Class> = args.accept.iter().map(|class| class.value()).collect();
    let grant = device.grant(&args.authority, accepts, args.renew).await?;
    device.hang_up().await;
    let text = grants::to_text(&grant);
    if let Some(path) = &args.out {
        folder::write(path, format!("{text}\n").as_bytes(), Secrecy::Owner)
            .map_err(|error| Failed::new(error.to_string()))?;
    }
    if out.json {
        out.json(&json!({
            "authority": args.authority.to_string(),
            "mailbox": grant.grant().mailbox.to_string(),
            "issued": time(grant.grant().issued),
            "grant": text,
        }));
    } else if let Some(path) = &args.out {
        fact(
            out,
            out.pick("autorisation", "grant"),
            &path.display().to_string(),
        );
    } else {
        out.line(&text);
    }
    Ok(Exit::Done)
}

async fn run_inbox(args: &InboxArgs, out: Output) -> Result<Exit, Failed> {
    let standing = if args.offline {
        Standing::Looking
    } else {
        Standing::Working
    };
    let mut device = open(&args.home, standing).await?;
    let synced = match args.offline {
        true => Ok(()),
        false => device.sync().await.map(drop),
    };
    // What is here is shown, whatever the home does.
    let exit = list(&device, out).await?;
    device.hang_up().await;
    synced?;
    Ok(exit)
}

async fn list(device: &Device, out: Output) -> Result<Exit, Failed> {
    let (shown, errors) = device.look_at_all().await;
    let acknowledged = device.acknowledged().map_err(DeviceError::from)?;
    let mut whole = errors.is_empty();
    for error in &errors {
        match out.lang {
            Lang::Fr => {
                tracing::info!(%error, "a page of the inbox");
                eprintln!(
                    "pli: une partie de la boîte gardée ici ne peut pas être lue (détail : -v)"
                );
            }
            Lang::En => eprintln!("pli: {}", plain(&error.to_string())),
        }
    }
    let mut rows = Vec::new();
    for letter in &shown {
        let seq = letter.entry.numbered.seq;
        let handed_over = acknowledged.contains(seq);
        if out.json {
            out.json(&letter::to_json(letter, handed_over));
        }
        let state = state::state(letter, out);
        whole &= !state.refused;
        let (from, title) = match letter.verified() {
            Some(verified) => (letter::sender(verified, out), letter::title(verified, out)),
            None => (String::new(), String::new()),
        };
        let at = letter::stored(letter).map_or_else(String::new, |at| when(at, out.lang));
        rows.push([state::number(letter), at, from, title, state.text]);
    }
    if !out.json {
        if rows.is_empty() {
            out.line(out.pick("Aucune lettre.", "No letter."));
        } else {
            let header = match out.lang {
                Lang::Fr => ["N°", "Reçue", "De", "Objet", "État"],
                Lang::En => ["No", "Received", "From", "Subject", "State"],
            };
            out.line(table(header, rows));
        }
    }
    Ok(if whole { Exit::Done } else { Exit::InPart })
}

async fn run_show(args: &ShowArgs, out: Output) -> Result<Exit, Failed> {
    let device = open(&args.home, Standing::Looking).await?;
    let (shown, _) = device.look_at_all().await;
    let letter = shown
        .iter()
        .find(|letter| letter.entry.numbered.holds(args.seq));
    let letter = letter.ok_or_else(|| Failed::new(no_letter(args.seq, out)))?;
    let acknowledged = device.acknowledged().map_err(DeviceError::from)?;
    if let Some(path) = &args.signed {
        let signed = letter::signed(letter).ok_or_else(|| {
            let (fr, en) = (
                "n'a pas été remise avec son enveloppe : lettre",
                "came without its envelope: letter",
            );
            Failed::new(format!("{} {}", out.pick(fr, en), args.seq))
        })?;
        folder::write(path, signed, Secrecy::Owner)
            .map_err(|error| Failed::new(error.to_string()))?;
    }
    if out.json {
        let mut value = letter::to_json(letter, acknowledged.contains(args.seq));
        value["signed"] = letter::signed(letter)
            .map(|signed| BASE64_URL_SAFE_NO_PAD.encode(signed))
            .into();
        out.json(&value);
    } else {
        letter::show(letter, out);
    }
    let readable = letter
        .verified()
        .is_some_and(|verified| verified.content().is_ok());
    Ok(if readable { Exit::Done } else { Exit::NotDone })
}

async fn run_ack(args: &AckArgs, out: Output) -> Result<Exit, Failed> {
    let mut device = open(&args.home, Standing::Working).await?;
    let (shown, _) = device.look_at_all().await;
    let acknowledged = device.acknowledged().map_err(DeviceError::from)?;
    let wanted = |seq: u64| match args.seqs.is_empty() {
        true => !acknowledged.contains(seq),
        false => args.seqs.contains(&seq),
    };
    let letters: Vec<(u64, EnvelopeId)> = received(&shown, wanted);
    device.acknowledge(&letters).await?;
    device.hang_up().await;
    if out.json {
        let seqs: Vec<u64> = letters.iter().map(|(seq, _)| *seq).collect();
        out.json(&json!({ "acknowledged": seqs }));
    } else if args.seqs.is_empty() || !letters.is_empty() {
        let word = match letters.len() {
            0 => out.pick("lettre à accuser", "letters to hand over"),
            1 => out.pick("lettre accusée", "letter handed over"),
            _ => out.pick("lettres accusées", "letters handed over"),
        };
        out.line(format!(
            "{} {word}",
            out.paint(Colour::Good, &letters.len().to_string())
        ));
    }
    let mut missing = args
        .seqs
        .iter()
        .filter(|seq| !letters.iter().any(|(had, _)| had == *seq))
        .peekable();
    let exit = match (missing.peek().is_some(), letters.is_empty()) {
        (false, _) => Exit::Done,
        (true, true) => Exit::NotDone,
        (true, false) => Exit::InPart,
    };
    for seq in missing {
        let there = shown.iter().any(|letter| letter.entry.numbered.seq == *seq);
        let said = match there {
            false => no_letter(*seq, out),
            true => format!(
                "{} {seq} {}",
                out.pick("la lettre", "letter"),
                out.pick(
                    "n'est pas vérifiée ; elle n'est donc pas accusée",
                    "is not verified, so it is not handed over"
                )
            ),
        };
        eprintln!("pli: {said}");
    }
    Ok(exit)
}

fn no_letter(seq: u64, out: Output) -> String {
    let (fr, en) = ("il n'y a pas de lettre", "there is no letter");
    format!("{} {seq}", out.pick(fr, en))
}

/// What a device may say that it received: letters that it verified and opened. A forged one was
/// not received from its supposed sender.
fn received(shown: &[Shown], wanted: impl Fn(u64) -> bool) -> Vec<(u64, EnvelopeId)> {
    let verified = shown.iter().filter_map(|letter| {
        let seq = letter.entry.numbered.seq;
        letter.verified().map(|verified| (seq, verified.id()))
    });
    verified.filter(|(seq, _)| wanted(*seq)).collect()
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
