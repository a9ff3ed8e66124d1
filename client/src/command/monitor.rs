//! `pli monitor`: follows nodes' logs from outside, and says what is wrong with them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::limits::{self, WITNESS_FRESH_MS};
use pli_protocol::trust::Directory;
use pli_trust::Source;
use serde_json::json;

use super::exit::{Exit, Failed};
use super::{places, stop_signal};
use crate::clock;
use crate::directory::{DirectoryPlace, OpenDirectory};
use crate::monitor::{Bundles, Finding, Followed, Looked, Monitor};
use crate::screen::{Colour, Output, plain};
use crate::service::config;

/// What the general codes mean here.
pub(super) const CODES: &str = "Exit codes, of the worst that was found: 0 nothing · 1 stale, too few witnesses, a receipt or \
an event is missing, a bundle is not what it claims to be · 2 not understood · 4 nobody answers · 5 forked, shrunk or falsified";

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
    /// An evidence bundle of somebody who sent or received a letter, or a folder of them: what it proves must be in the
    /// logs. May be given again
    #[arg(long, value_name = "FILE|DIR")]
    bundle: Vec<PathBuf>,
    /// After how many minutes the bundles of a letter must prove what a node signed, and hold its receipts
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    logged_within: u64,
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
    let mut auditor = Auditor::default();
    loop {
        let exit = tokio::select! {
            exit = auditor.look(&args, &open, out) => exit?,
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

/// What is kept from one look to the next.
#[derive(Default)]
struct Auditor {
    bundles: Bundles,
    /// What was told of the last look: what is still true is not told again, except to programs.
    told: BTreeSet<String>,
}

impl Auditor {
    async fn look(
        &mut self,
        args: &MonitorArgs,
        open: &OpenDirectory,
        out: Output,
    ) -> Result<Exit, Failed> {
        let (directory, now) = (open.current(), clock::now());
        let needed = args
            .witnesses
            .unwrap_or_else(|| directory.policy().witnesses);
        let stale_ms = args.stale.saturating_mul(60_000);
        let witnesses = |name: &AuthorityId| directory.log_keys_ever(name);
        let monitor = Monitor::new(&args.state.join("logs"), needed, stale_ms, witnesses);
        let monitor = monitor.map_err(|error| Failed::new(error.to_string()))?;
        let environment = config::environment(args.dev);
        let root = places::read(&args.root, limits::TRUST_ROOT_MAX)?.into();
        self.bundles.read(&args.bundle, &root, environment).await;
        let mut findings = Vec::new();
        for node in followed(args, &self.bundles, &directory)? {
            let looked = monitor
                .look(&node, &mut self.bundles.claims, now)
                .await
                .map_err(|error| Failed::new(error.to_string()))?;
            tell_right(&looked, out);
            self.tell_wrong(&looked.findings, now, out);
            findings.extend(looked.findings);
        }
        let asked_for = |node: &AuthorityId| args.node.is_empty() || args.node.contains(node);
        let within_ms = args.logged_within.saturating_mul(60_000);
        let of_bundles = self.bundles.findings(asked_for, now, within_ms);
        self.tell_wrong(&of_bundles, now, out);
        findings.extend(of_bundles);
        self.told = findings.iter().map(line).collect();
        let exits = findings.iter().map(exit_of);
        Ok(exits
            .max_by_key(|exit| gravity(*exit))
            .unwrap_or(Exit::Done))
    }

    fn tell_wrong(&self, findings: &[Finding], now: Timestamp, out: Output) {
        for finding in findings {
            if out.json {
                let value = json!({
                    "alarm": finding.alarm.name(),
                    "authority": finding.authority.as_ref().map(ToString::to_string),
                    "origin": finding.origin.as_ref().map(ToString::to_string),
                    "detail": finding.detail,
                    "at_ms": now.as_ms(),
                });
                eprintln!("{value}");
            } else if !self.told.contains(&line(finding)) {
                eprintln!("{}", line(finding));
            }
        }
    }
}

fn line(finding: &Finding) -> String {
    let origin = finding.origin.as_ref().map(ToString::to_string);
    let authority = finding.authority.as_ref().map(ToString::to_string);
    let whose = origin.or(authority).map(|name| format!("{name}: "));
    let (name, detail) = (finding.alarm.name(), plain(&finding.detail));
    format!("pli: {}{name}: {detail}", whose.unwrap_or_default())
}

fn exit_of(finding: &Finding) -> Exit {
    use crate::monitor::Alarm;
    match finding.alarm {
        alarm if alarm.misbehaves() => Exit::Misbehaved,
        Alarm::Unreachable => Exit::TryLater,
        _ => Exit::NotDone,
    }
}

/// Whom to look at, in the order of their names.
fn followed(
    args: &MonitorArgs,
    bundles: &Bundles,
    directory: &Directory,
) -> Result<Vec<Followed>, Failed> {
    let claimed: BTreeSet<&AuthorityId> = bundles.claims.authorities().collect();
    let mut names: Vec<AuthorityId> = match args.node.is_empty() {
        false => args.node.clone(),
        true => directory
            .authorities()
            .map(|record| &record.authority)
            .chain(claimed.iter().copied())
            .cloned()
            .collect(),
    };
    names.sort_unstable();
    names.dedup();
    let mut followed = Vec::new();
    for authority in names {
        let keys = directory.log_keys_ever(&authority);
        let given = args.http.iter().filter(|at| at.authority == authority);
        let mut at: Vec<String> = given.map(|at| at.base.clone()).collect();
        if at.is_empty() {
            at = directory.http_of(&authority);
        }
        let asked_for = args.node.contains(&authority);
        if asked_for && keys.is_empty() {
            return Err(Failed::new(format!(
                "the directory lists no log key of {authority}"
            )));
        }
        // A log that a bundle shows is missed where it is not served.
        let missed = asked_for || claimed.contains(&authority);
        if missed || !(keys.is_empty() || at.is_empty()) {
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

/// On standard output; what is wrong is on standard error.
fn tell_right(looked: &Looked, out: Output) {
    for seen in &looked.seen {
        if out.json {
            let witnesses = seen.witnesses.iter();
            let witnesses = witnesses
                .map(|(name, at)| json!({ "witness": name.to_string(), "at_ms": at.as_ms() }));
            out.json(&json!({
                "origin": seen.origin.to_string(),
                "size": seen.size,
                "before": seen.before,
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
        let (right, since) = match seen.before {
            Some(before) => ("consistent", format!(", {before} when last seen")),
            None => ("seen for the first time", String::new()),
        };
        let right = out.paint(Colour::Good, right);
        out.line(format!(
            "{} {right}: {} {}{since}, cosigned by {witnesses}",
            seen.origin,
            seen.size,
            if seen.size == 1 { "entry" } else { "entries" }
        ));
    }
}
