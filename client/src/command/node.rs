//! `pli node`: look at a node, invite a citizen to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use pli_protocol::account::{Invitation, InvitationId, InvitationLink};
use pli_protocol::id::AuthorityId;
use pli_protocol::limits;
use pli_trust::keyfile;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::exit::{Exit, Failed};
use super::{fact, places};
use crate::clock;
use crate::content_json::time;
use crate::screen::{Colour, Output, plain, table};

const CONFIG_MAX: u64 = 1024 * 1024;
const STATUS_MAX: usize = 4 * 1024 * 1024;
const STATUS_TIME: Duration = Duration::from_secs(10);
const DAY_MS: u64 = 86_400_000;

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// What a node says of itself to its operator
    Status(StatusArgs),
    /// Make one-time invitations for citizens, with the node's key; no running node is needed
    Invite(InviteArgs),
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Its operations address
    #[arg(long, default_value = "http://127.0.0.1:7404")]
    url: String,
}

#[derive(Debug, Args)]
pub(super) struct InviteArgs {
    /// The node's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// For how many days an invitation can be used
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=29))]
    days: u64,
    /// How many invitations, one a line
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
}

pub(super) async fn run(command: NodeCommand, out: Output) -> Result<Exit, Failed> {
    match command {
        NodeCommand::Status(args) => status(&args, out).await,
        NodeCommand::Invite(args) => invite(&args, out),
    }
}

/// What of `node.toml` an invitation needs; the node itself refuses unknown keys.
#[derive(Debug, Deserialize)]
struct NodeConfig {
    authority: String,
    key: PathBuf,
    trust: TrustConfig,
}

#[derive(Debug, Deserialize)]
struct TrustConfig {
    root: PathBuf,
}

fn invite(args: &InviteArgs, out: Output) -> Result<Exit, Failed> {
    let failed =
        |error: &dyn std::fmt::Display| Failed::new(format!("{}: {error}", args.config.display()));
    let text = String::from_utf8(places::read(&args.config, CONFIG_MAX)?)
        .map_err(|error| failed(&error))?;
    let config: NodeConfig = toml::from_str(&text).map_err(|error| failed(&error))?;
    let home: AuthorityId = config.authority.parse().map_err(|error| failed(&error))?;
    let folder = args.config.parent().unwrap_or(Path::new("."));
    let key =
        keyfile::load(&folder.join(&config.key)).map_err(|error| Failed::new(error.to_string()))?;
    let root = places::read(&folder.join(&config.trust.root), limits::TRUST_ROOT_MAX)?;
    let root_sha256: [u8; 32] = Sha256::digest(&root).into();
    let expires = clock::now().plus_ms(args.days * DAY_MS);
    for _ in 0..args.count {
        let mut id = [0; limits::INVITATION_ID_LEN];
        getrandom::fill(&mut id)
            .map_err(|error| Failed::new(format!("no random bytes: {error}")))?;
        let invitation = Invitation {
            id: InvitationId::new(id),
            home: home.clone(),
            expires,
        };
        let link = InvitationLink {
            home: home.clone(),
            root_sha256,
            invitation: invitation.sign(&key),
        };
        if out.json {
            out.json(&json!({
                "home": home.to_string(),
                "id": invitation.id.to_string(),
                "expires": time(expires),
                "invitation": link.to_string(),
            }));
        } else {
            out.line(link.to_string());
        }
    }
    Ok(Exit::Done)
}

async fn status(args: &StatusArgs, out: Output) -> Result<Exit, Failed> {
    let url = format!("{}/status", args.url.trim_end_matches('/'));
    let status = match fetch(&url).await {
        Ok(status) => status,
        Err(reason) => {
            let message =
                format!("{url}: {reason}; does the node run, and is this its operations address?");
            return Err(Failed {
                exit: Exit::TryLater,
                ..Failed::new(message)
            });
        }
    };
    let ready = status["ready"]["ready"].as_bool().unwrap_or(false);
    if out.json {
        out.json(&status);
    } else {
        tell(&status, ready, out);
    }
    Ok(if ready { Exit::Done } else { Exit::NotDone })
}

async fn fetch(url: &str) -> Result<Value, String> {
    let client = reqwest::Client::builder()
        .timeout(STATUS_TIME)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())?;
    let mut response = client
        .get(url)
        .send()
        .await
        .map_err(|error| chain(&error))?;
    if !response.status().is_success() {
        return Err(format!("HTTP {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > STATUS_MAX {
            return Err(format!("more than {STATUS_MAX} bytes"));
        }
    }
    serde_json::from_slice(&body).map_err(|error| format!("not a status: {error}"))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(this) = cause {
        text = format!("{text}: {this}");
        cause = this.source();
    }
    text
}

fn tell(status: &Value, ready: bool, out: Output) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    fact(out, "node", &text(&status["authority"]));
    fact(out, "version", &text(&status["version"]));
    fact(out, "key", &text(&status["key_id"]));
    fact(out, "up", &format!("{} s", text(&status["uptime_s"])));
    let word = if ready {
        out.paint(Colour::Good, "yes")
    } else {
        out.paint(Colour::Bad, "no")
    };
    out.line(format!(
        "{} {word}",
        out.paint(Colour::Faint, &format!("{:<14}", "ready"))
    ));
    for reason in status["ready"]["because"].as_array().into_iter().flatten() {
        out.line(format!("               {}", plain(&text(reason))));
    }
    let directory = &status["directory"];
    fact(
        out,
        "directory",
        &format!(
            "in force: {}, {} authorities, root {} targets {} snapshot {} timestamp {}",
            text(&directory["in_force"]),
            text(&directory["authorities"]),
            text(&directory["versions"]["root"]),
            text(&directory["versions"]["targets"]),
            text(&directory["versions"]["snapshot"]),
            text(&directory["versions"]["timestamp"]),
        ),
    );
    fact(out, "clock", &text(&status["clock"]["state"]));
    let sessions = &status["sessions"];
    fact(
        out,
        "sessions",
        &format!(
            "{} services, {} devices, {} nodes in, {} out",
            text(&sessions["services"]),
            text(&sessions["devices"]),
            text(&sessions["nodes"]),
            text(&sessions["dialled"]),
        ),
    );
    let store = &status["store"];
    fact(
        out,
        "store",
        &format!(
            "{}, writable: {}, {} bytes used, {} free, {} put aside",
            text(&store["url"]),
            text(&store["writable"]),
            text(&store["used_bytes"]),
            text(&store["free_bytes"]),
            text(&store["quarantined"]),
        ),
    );
    let queues = status["queues"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if !queues.is_empty() {
        out.line("");
        let rows = queues.iter().map(|queue| {
            [
                "destination",
                "priority",
                "bulk",
                "bytes",
                "reachable",
                "last_error",
            ]
            .map(|field| text(&queue[field]))
        });
        out.line(table(
            [
                "Queue",
                "Priority",
                "Bulk",
                "Bytes",
                "Reachable",
                "Last error",
            ],
            rows,
        ));
    }
    let alarms = status["alarms"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if !alarms.is_empty() {
        out.line("");
        let rows = alarms
            .iter()
            .map(|alarm| ["alarm", "detail"].map(|field| text(&alarm[field])));
        out.line(table(["Alarm", "Detail"], rows));
    }
}
