//! `pli node invite`: one-time invitations, made offline with the node's key, as `pli-node invite` makes them. In: the
//! node's configuration. Out: links to hand over. Spec: MBX-1.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pli_protocol::account::{Invitation, InvitationId, InvitationLink};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::AuthorityId;
use pli_protocol::limits;
use pli_protocol::trust::TrustRefusal;
use pli_trust::{Source, keyfile};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::super::exit::{Exit, Failed};
use super::super::places;
use crate::clock;
use crate::content_json::time;
use crate::directory::{DirectoryPlace, OpenDirectory};
use crate::screen::{Output, plain};
use crate::service::config::environment;

const CONFIG_MAX: u64 = 1024 * 1024;
/// Invitations of one run, as of `pli-node invite`.
const COUNT_MAX: i64 = 10_000;
/// A day less than an invitation may last, so that a clock which is behind does not refuse it.
const VALID_FOR_MAX: Duration =
    Duration::from_millis(limits::INVITATION_LIFETIME_MAX_MS - 86_400_000);

#[derive(Debug, Args)]
pub(in crate::command) struct InviteArgs {
    /// The node's configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How long each works, such as 12h or 7d
    #[arg(long, default_value = "7d", value_name = "PERIOD", value_parser = valid_for)]
    valid_for: Duration,
    /// How many invitations, one a line
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=COUNT_MAX))]
    count: u32,
}

/// A whole number and one of `ms`, `s`, `m`, `h`, `d`, as in the node's configuration.
fn valid_for(text: &str) -> Result<Duration, String> {
    const UNITS_MS: [(&str, u64); 5] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = UNITS_MS.iter().find(|(name, _)| *name == unit);
    let ms = unit.and_then(|(_, ms)| number.parse::<u64>().ok()?.checked_mul(*ms));
    let Some(ms) = ms else {
        return Err("expected a period such as 30m, 12h or 7d".to_owned());
    };
    let period = Duration::from_millis(ms);
    if period.is_zero() || period > VALID_FOR_MAX {
        let days = VALID_FOR_MAX.as_secs() / 86_400;
        return Err(format!("expected more than 0s, at most {days}d"));
    }
    Ok(period)
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

pub(super) async fn run(args: &InviteArgs, out: Output) -> Result<Exit, Failed> {
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
    let expires = clock::now().plus_ms(args.valid_for.as_millis() as u64);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_read_as_the_node_reads_it() {
        const DAY: u64 = 86_400;
        for (text, seconds) in [
            ("1s", 1),
            ("90m", 5_400),
            ("12h", 43_200),
            ("29d", 29 * DAY),
        ] {
            assert_eq!(valid_for(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for (text, expected) in [
            ("", "such as 30m"),
            ("7", "such as 30m"),
            ("7w", "such as 30m"),
            ("-1d", "such as 30m"),
            ("213503982335d", "such as 30m"),
            ("0s", "more than 0s"),
            ("30d", "at most 29d"),
            ("2505600001ms", "at most 29d"),
        ] {
            let said = valid_for(text).unwrap_err();
            assert!(said.contains(expected), "{text}: {said}");
        }
    }
}
