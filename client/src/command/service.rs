//! `pli service`: a sender of an authority.

mod init;
mod status;

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use clap::{Args, Subcommand};
use pli_trust::legible;
use serde_json::json;

use super::exit::{Exit, Failed};
use super::send::SendArgs;
use super::{Home, places};
use crate::clock;
use crate::content_json::time;
use crate::names;
use crate::screen::{Colour, Output, plain, table};
use crate::service::config;
use crate::service::contacts::{Added, Contact, Contacts, GRANT_SCHEME};
use crate::service::{ServiceError, config_of};

/// Grants in one file of `contact add`.
const GRANTS_FILE_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum ServiceCommand {
    /// Make a service's folder and key; its authority then publishes the key
    Init(init::InitArgs),
    /// The citizens who let this authority write to them
    #[command(subcommand)]
    Contact(ContactCommand),
    /// Send one letter, or a file of any number of letters
    Send(Box<SendArgs>),
    /// What became of letters, by the nodes' signed receipts
    Status(status::StatusArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum ContactCommand {
    /// Check and keep grants: a file with one a line, each maybe after a name and a tab; - is standard input
    Add(ContactAddArgs),
    /// Show the contacts
    List(ContactListArgs),
}

#[derive(Debug, Args)]
pub(super) struct ContactAddArgs {
    #[command(flatten)]
    home: Home,
    /// What to call the contact; by default its mailbox address
    #[arg(long)]
    name: Option<String>,
    /// The grant that the citizen's device printed
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ContactListArgs {
    #[command(flatten)]
    home: Home,
}

pub(super) async fn run(command: ServiceCommand, out: Output) -> Result<Exit, Failed> {
    match command {
        ServiceCommand::Init(args) => init::run(&args, out).await,
        ServiceCommand::Contact(ContactCommand::Add(args)) => add(&args, out),
        ServiceCommand::Contact(ContactCommand::List(args)) => list(&args, out),
        ServiceCommand::Send(args) => super::send::run(*args, out).await,
        ServiceCommand::Status(args) => status::run(&args, out).await,
    }
}

/// The contacts alone: adding needs neither key nor directory.
fn contacts(home: &Home) -> Result<Contacts, Failed> {
    let home = home.folder("service")?;
    let opened = || -> Result<Contacts, ServiceError> {
        let id = config_of(&home)?.service_id(&home)?;
        Ok(Contacts::open(
            config::contacts_folder(&home),
            id.authority().clone(),
        )?)
    };
    opened().map_err(Failed::from)
}

fn add(args: &ContactAddArgs, out: Output) -> Result<Exit, Failed> {
    let contacts = contacts(&args.home)?;
    let file = places::read(&args.file, GRANTS_FILE_MAX)?;
    let (mut good, mut bad) = (0, 0);
    for (line, grant) in grants(&file) {
        let added = grant.and_then(|(name, grant)| {
            let name = name.as_deref().or(args.name.as_deref());
            contacts
                .add(grant, name, clock::now())
                .map_err(|error| error.to_string())
        });
        match added {
            Ok((contact, added)) => {
                good += 1;
                tell_added(&contact, added, out);
            }
            Err(reason) => {
                bad += 1;
                if out.json {
                    out.json(&json!({ "line": line, "added": false, "reason": reason }));
                } else {
                    let refused = out.paint(Colour::Bad, "refused");
                    out.line(format!("line {line}: {refused}: {}", plain(&reason)));
                }
            }
        }
    }
    match (good, bad) {
        (0, 0) => Err(Failed::new(format!(
            "{} holds no grant",
            args.file.display()
        ))),
        (0, _) => Ok(Exit::NotDone),
        (_, 0) => Ok(Exit::Done),
        _ => Ok(Exit::InPart),
    }
}

const INVITATION_SCHEME: &str = "pli:invite?";

type Grant = Result<(Option<String>, Bytes), String>;

/// The grants of a file: the bytes of one, or texts, one a line.
fn grants(file: &[u8]) -> Vec<(usize, Grant)> {
    let Ok(text) = std::str::from_utf8(file) else {
        return vec![(1, Ok((None, Bytes::copy_from_slice(file))))];
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.contains("pli:") && !file.is_empty() {
        return vec![(1, Ok((None, Bytes::copy_from_slice(file))))];
    }
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| (number, grant(line))).collect()
}

fn grant(line: &str) -> Grant {
    let (name, text) = match line.rsplit_once('\t') {
        Some((name, text)) => (Some(name.to_owned()), text),
        None => (None, line),
    };
    let encoded = text.trim().strip_prefix(GRANT_SCHEME);
    let encoded = encoded.ok_or_else(|| match text.trim().starts_with(INVITATION_SCHEME) {
        true => "this is an invitation, with which a citizen enrols a device; expected a grant, which pli device grant prints".to_owned(),
        false => format!("expected a grant: {GRANT_SCHEME}…"),
    })?;
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|error| error.to_string())?;
    Ok((name, bytes.into()))
}

fn tell_added(contact: &Contact, added: Added, out: Output) {
    let word = match added {
        Added::New => "added",
        Added::Replaced => "replaced",
        Added::Same => "already there",
    };
    if out.json {
        out.json(&json!({
            "added": true,
            "outcome": word,
            "name": contact.name,
            "mailbox": contact.grant.mailbox.to_string(),
            "issued": time(contact.grant.issued),
        }));
    } else {
        let word = out.paint(Colour::Good, word);
        out.line(format!(
            "{word}: {} → {}",
            plain(&contact.name),
            contact.grant.mailbox
        ));
    }
}

fn list(args: &ContactListArgs, out: Output) -> Result<Exit, Failed> {
    let contacts = contacts(&args.home)?;
    let all = contacts
        .list()
        .map_err(|error| Failed::from(ServiceError::from(error)))?;
    let (mut rows, mut damaged) = (Vec::new(), 0);
    for contact in all {
        match contact {
            Ok(contact) => rows.push(contact),
            Err(error) => {
                damaged += 1;
                eprintln!("pli: {}", plain(&error.to_string()));
            }
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    if out.json {
        for Contact { name, grant } in &rows {
            out.json(&json!({
                "name": name,
                "mailbox": grant.mailbox.to_string(),
                "epoch": grant.sealing.epoch,
                "accepts": grant.accepts.iter().map(|class| names::class(*class)).collect::<Vec<_>>(),
                "issued": time(grant.issued),
            }));
        }
    } else {
        let cells = rows.iter().map(|Contact { name, grant }| {
            [
                name.clone(),
                grant.mailbox.to_string(),
                legible(grant.issued),
            ]
        });
        out.line(table(["Name", "Mailbox", "Granted"], cells));
    }
    Ok(if damaged == 0 {
        Exit::Done
    } else {
        Exit::InPart
    })
}
