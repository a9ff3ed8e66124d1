//! `pli node`: look at a node, invite a citizen to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use pli_protocol::account::{Invitation, InvitationId, InvitationLink};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits;
use pli_protocol::trust::TrustRefusal;
use pli_trust::{Source, keyfile};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::exit::{Exit, Failed};
use super::{fact, places};
use crate::clock;
use crate::content_json::time;
use crate::directory::{DirectoryPlace, OpenDirectory};
use crate::screen::{Colour, Output, plain, table, when};
use crate::service::config::environment;

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
    #[arg(long, default_value = "http://127.0.0.1:7404", value_parser = http_url)]
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

fn http_url(text: &str) -> Result<String, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(text.to_owned());
    }
    Err(format!(
        "expected an address with its scheme; write http://{text}"
    ))
}

pub(super) async fn run(command: NodeCommand, out: Output) -> Result<Exit, Failed> {
    match command {
        NodeCommand::Status(args) => status(&args, out).await,
        NodeCommand::Invite(args) => invite(&args, out).await,
    }
}

/// What of `node.toml` an invitation needs; the node itself refuses unknown keys.
#[derive(Debug, Deserialize)]
struct NodeConfig {
    authority: String,
    key: PathBuf,
    #[serde(default)]
    dev: bool,
    trust: TrustConfig,
}

#[derive(Debug, Deserialize)]
struct TrustConfig {
    root: PathBuf,
    #[serde(default)]
    sources: Vec<String>,
}

async fn invite(args: &InviteArgs, out: Output) -> Result<Exit, Failed> {
    let failed =
        |error: &dyn std::fmt::Display| Failed::new(format!("{}: {error}", args.config.display()));
    let text = String::from_utf8(places::read(&args.config, CONFIG_MAX)?)
        .map_err(|error| failed(&error))?;
    let config: NodeConfig = toml::from_str(&text).map_err(|error| failed(&error))?;
    let home: AuthorityId = config.authority.parse().map_err(|error| failed(&error))?;
    let folder = args.config.parent().unwrap_or(Path::new("."));
    let key =
        keyfile::load(&folder.join(&config.key)).map_err(|error| Failed::new(error.to_string()))?;
    let root_file = folder.join(&config.trust.root);
    if !root_file.exists() {
        return Err(failed(&format!(
            "trust.root: there is no {}; the federation makes it with: pli federation publish",
            root_file.display()
        )));
    }
    let root = places::read(&root_file, limits::TRUST_ROOT_MAX)?;
    may_host(&config, folder, &root_file, &home, &key).await?;
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

/// Refuses what a device would refuse when somebody tries to use the invitation.
async fn may_host(
    config: &NodeConfig,
    folder: &Path,
    root: &Path,
    home: &AuthorityId,
    key: &SigningKey,
) -> Result<(), Failed> {
    let scratch = tempfile::tempdir().map_err(|error| Failed::new(error.to_string()))?;
    let mut sources = Vec::new();
    for text in &config.trust.sources {
        match text.parse() {
            Ok(Source::Directory(path)) => sources.push(Source::Directory(folder.join(path))),
            Ok(mirror) => sources.push(mirror),
            Err(error) => return Err(Failed::new(format!("trust.sources: {error}"))),
        }
    }
    let place = DirectoryPlace {
        root: root.to_owned(),
        sources,
        copy: scratch.path().to_owned(),
        environment: environment(config.dev),
    };
    let now = clock::now();
    let directory = match OpenDirectory::open(&place, now).await {
        Ok(open) => open.current(),
        Err(error) => {
            let error = error.to_string();
            eprintln!(
                "pli: warning: nobody could say whether {home} may host citizens: {}",
                plain(&error)
            );
            return Ok(());
        }
    };
    let refused = |problem: String, code| Failed::coded(problem, Some(code));
    if let Err(refusal) = directory.home(home, now) {
        let mut next = "";
        if matches!(refusal, TrustRefusal::CannotHost { .. }) {
            next = ": the federation allows it with: pli federation grant AUTHORITY --host, then pli federation publish";
        }
        return Err(refused(
            format!("no device could use an invitation: {refusal}{next}"),
            refusal.code(),
        ));
    }
    let listed = directory
        .node_keys(home, now)
        .is_ok_and(|mut keys| keys.any(|listed| listed == key.public()));
    if !listed {
        let problem = format!(
            "no device would believe an invitation by the key {}: the directory does not list it for the node of {home} now; publish it first, or name the key that is listed",
            key.public()
        );
        return Err(refused(problem, Code::UnknownKey));
    }
    Ok(())
}

async fn status(args: &StatusArgs, out: Output) -> Result<Exit, Failed> {
    let url = format!("{}/status", args.url.trim_end_matches('/'));
    let status = match fetch(&url).await {
        Ok(status) => status,
        Err(Unread::NoAnswer(reason)) => {
            let message =
                format!("{url}: {reason}; does the node run, and is this its operations address?");
            return Err(Failed {
                exit: Exit::TryLater,
                ..Failed::new(message)
            });
        }
        Err(Unread::NotAStatus(reason)) => {
            return Err(Failed::new(format!(
                "{url}: {reason}; somebody answers there, but not as a node's operations address (listen.ops in its configuration)"
            )));
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

/// Why there is no status.
enum Unread {
    NoAnswer(String),
    NotAStatus(String),
}

async fn fetch(url: &str) -> Result<Value, Unread> {
    let client = reqwest::Client::builder()
        .timeout(STATUS_TIME)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Unread::NoAnswer(error.to_string()))?;
    let mut response = client
        .get(url)
        .send()
        .await
        .map_err(|error| Unread::NoAnswer(chain(&error)))?;
    if !response.status().is_success() {
        return Err(Unread::NotAStatus(format!("HTTP {}", response.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Unread::NoAnswer(chain(&error)))?
    {
        body.extend_from_slice(&chunk);
        if body.len() > STATUS_MAX {
            return Err(Unread::NotAStatus(format!("more than {STATUS_MAX} bytes")));
        }
    }
    serde_json::from_slice(&body)
        .map_err(|error| Unread::NotAStatus(format!("not a status: {error}")))
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
    let moment = |value: &Value| match value.as_u64() {
        Some(ms) => when(Timestamp::from_ms(ms), out.lang),
        None => "-".to_owned(),
    };
    fact(
        out,
        "",
        &format!(
            "holds until {}, refreshed {}",
            moment(&directory["expires_ms"]),
            moment(&directory["refreshed_ms"]),
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
                "postponed",
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
                "Put off",
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
        let rows = alarms.iter().map(|alarm| {
            [
                text(&alarm["alarm"]),
                moment(&alarm["since_ms"]),
                text(&alarm["detail"]),
            ]
        });
        out.line(table(["Alarm", "Since", "Detail"], rows));
    }
}
