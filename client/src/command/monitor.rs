//! `pli monitor`: follows nodes' logs from outside, and says what is wrong with them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::WITNESS_FRESH_MS;
use pli_protocol::trust::Directory;
use pli_trust::Source;
use serde_json::json;

use super::exit::{Exit, Failed};
use super::stop_signal;
use crate::clock;
use crate::directory::{DirectoryPlace, OpenDirectory};
use crate::monitor::{Finding, Followed, Looked, Monitor};
use crate::screen::{Colour, Output, plain};
use crate::service::config;

#[derive(Debug, Args)]
pub(super) struct MonitorArgs {
    /// The federation's root.json, got by a way you trust
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Where the directory is read; may be given again
    #[arg(long, value_name = "DIR|URL", required = true)]
    trust: Vec<Source>,
    /// Follow this authority's node; by default all of the directory that publish an http address. May be given again
    #[arg(long, value_name = "AUTHORITY")]
    node: Vec<AuthorityId>,
    /// Ask a node here, and not where it publishes to be; may be given again
    #[arg(long, value_name = "AUTHORITY=URL")]
    http: Vec<At>,
    /// Where what was seen is kept; without it nobody can say whether a log has changed
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// How many witnesses must have cosigned, at least; by default as many as the federation says
    #[arg(long, value_name = "N")]
    witnesses: Option<usize>,
    /// For how many minutes a log may go without new cosignatures
    #[arg(long, value_name = "MINUTES", default_value_t = WITNESS_FRESH_MS / 60_000)]
    stale: u64,
    /// Look once, and end
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Accept published test keys in the directory
    #[arg(long)]
    dev: bool,
}

/// `AUTHORITY=URL`
#[derive(Clone, Debug)]
struct At {
    authority: AuthorityId,
    base: String,
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (authority, base) = text.split_once('=').ok_or("expected AUTHORITY=URL")?;
        let url: url::Url = base.parse().map_err(|error| format!("{base}: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{base}: expected http:// or https://"));
        }
        Ok(Self {
            authority: authority
                .parse()
                .map_err(|error: pli_protocol::id::IdError| error.to_string())?,
            base: base.to_owned(),
        })
    }
}

pub(super) async fn run(args: MonitorArgs, out: Output) -> Result<Exit, Failed> {
    let failed = |error: &dyn std::fmt::Display| Failed::new(error.to_string());
    let place = DirectoryPlace {
        root: args.root.clone(),
        sources: args.trust.clone(),
        copy: args.state.join("directory"),
        environment: config::environment(args.dev),
    };
    crate::folder::create_folder(&args.state).map_err(|error| failed(&error))?;
    let open = OpenDirectory::open(&place, clock::now())
        .await
        .map_err(|error| failed(&error))?;
    let mut worst = Exit::Done;
    loop {
        let exit = tokio::select! {
            exit = look(&args, &open, out) => exit?,
            () = stop_signal() => return Ok(worst),
        };
        worst = if gravity(exit) > gravity(worst) {
            exit
        } else {
            worst
        };
        if args.once {
            return Ok(worst);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.every)) => {}
            () = stop_signal() => return Ok(worst),
        }
        open.refresh(clock::now()).await;
    }
}

/// Who breaks the protocol is worse than who is late, and that than who does not answer.
fn gravity(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::TryLater => 1,
        Exit::NotDone | Exit::InPart => 2,
        Exit::Misbehaved => 3,
    }
}

async fn look(args: &MonitorArgs, open: &OpenDirectory, out: Output) -> Result<Exit, Failed> {
    let (directory, now) = (open.current(), clock::now());
    let needed = args.witnesses.unwrap_or_else(|| policy(&directory));
    let stale_ms = args.stale.saturating_mul(60_000);
    let witnesses = |name: &AuthorityId| log_keys(&directory, name);
    let monitor = Monitor::new(&args.state.join("logs"), needed, stale_ms, witnesses);
    let monitor = monitor.map_err(|error| Failed::new(error.to_string()))?;
    let mut exit = Exit::Done;
    for node in followed(args, &directory)? {
        let looked = monitor
            .look(&node, now)
            .await
            .map_err(|error| Failed::new(error.to_string()))?;
        for finding in &looked.findings {
            let this = exit_of(finding);
            exit = if gravity(this) > gravity(exit) {
                this
            } else {
                exit
            };
        }
        tell(&node, &looked, now, out);
    }
    Ok(exit)
}

fn exit_of(finding: &Finding) -> Exit {
    use crate::monitor::Alarm;
    match finding.alarm {
        alarm if alarm.misbehaves() => Exit::Misbehaved,
        Alarm::Unreachable => Exit::TryLater,
        _ => Exit::NotDone,
    }
}

/// All keys that the directory ever listed for an authority's logs.
fn log_keys(
    directory: &Directory,
    authority: &AuthorityId,
) -> Vec<pli_protocol::crypto::sign::PublicKey> {
    let keys = directory
        .node_of(authority)
        .map(|node| node.log_keys.as_slice());
    keys.unwrap_or_default().iter().map(|key| key.key).collect()
}

/// Where a node publishes to be asked.
fn bases(directory: &Directory, authority: &AuthorityId) -> Vec<String> {
    let bases = directory
        .node_of(authority)
        .map(|node| node.http.as_slice());
    bases
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// How many witnesses the federation asks for.
fn policy(directory: &Directory) -> usize {
    directory.policy().witnesses
}

/// Whom to look at, in the order of their names.
fn followed(args: &MonitorArgs, directory: &Directory) -> Result<Vec<Followed>, Failed> {
    let mut names: Vec<AuthorityId> = match args.node.is_empty() {
        false => args.node.clone(),
        true => directory
            .authorities()
            .map(|record| record.authority.clone())
            .collect(),
    };
    names.sort_unstable();
    names.dedup();
    let mut followed = Vec::new();
    for authority in names {
        let keys = log_keys(directory, &authority);
        let given = args.http.iter().filter(|at| at.authority == authority);
        let mut at: Vec<String> = given.map(|at| at.base.clone()).collect();
        if at.is_empty() {
            at = bases(directory, &authority);
        }
        let asked_for = args.node.contains(&authority);
        if asked_for && keys.is_empty() {
            return Err(Failed::new(format!(
                "the directory lists no log key of {authority}"
            )));
        }
        if asked_for || !(keys.is_empty() || at.is_empty()) {
            followed.push(Followed {
                authority,
                keys,
                bases: at,
            });
        }
    }
    match followed.is_empty() {
        true => Err(Failed::new(
            "no node of the directory publishes a log and an address to read it at",
        )),
        false => Ok(followed),
    }
}

/// What was found right on standard output, what is wrong on standard error.
fn tell(node: &Followed, looked: &Looked, now: Timestamp, out: Output) {
    for seen in &looked.seen {
        if out.json {
            let witnesses = seen.witnesses.iter();
            let witnesses = witnesses
                .map(|(name, at)| json!({ "witness": name.to_string(), "at_ms": at.as_ms() }));
            out.json(&json!({
                "origin": seen.origin.to_string(),
                "size": seen.size,
                "last_at_ms": seen.last_at.map(Timestamp::as_ms),
                "witnesses": witnesses.collect::<Vec<_>>(),
            }));
            continue;
        }
        let witnesses: Vec<String> = seen
            .witnesses
            .iter()
            .map(|(name, _)| name.to_string())
            .collect();
        let witnesses = match witnesses.is_empty() {
            true => "nobody".to_owned(),
            false => witnesses.join(", "),
        };
        let right = out.paint(Colour::Good, "consistent");
        out.line(format!(
            "{} {right}: {} entries, cosigned by {witnesses}",
            seen.origin, seen.size
        ));
    }
    for finding in &looked.findings {
        let name = finding.alarm.name();
        let log = finding
            .origin
            .as_ref()
            .map_or_else(|| node.authority.to_string(), ToString::to_string);
        if out.json {
            let value = json!({
                "alarm": name,
                "authority": finding.authority.to_string(),
                "origin": finding.origin.as_ref().map(ToString::to_string),
                "detail": finding.detail,
                "at_ms": now.as_ms(),
            });
            eprintln!("{value}");
        } else {
            eprintln!("pli: {log}: {name}: {}", plain(&finding.detail));
        }
    }
}
