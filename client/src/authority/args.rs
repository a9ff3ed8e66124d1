//! The arguments of `pli authority`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pli_protocol::envelope::{Class, Importance};
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::trust::{HostPort, HttpBase, LinkHost, WebSocketUrl};

use crate::clock;
use crate::federation::KeyOption;

/// Run an authority: its node, its services, its keys.
#[derive(Clone, Debug, Subcommand)]
pub enum AuthorityCommand {
    /// Make an authority's workspace: its role's keys, its node.
    Init {
        /// The authority's domain: interieur.gouv.fr
        authority: AuthorityId,
        #[command(flatten)]
        dir: Dir,
        /// Its name in French.
        #[arg(long)]
        name_fr: String,
        /// Its name in English.
        #[arg(long)]
        name_en: String,
        /// Where keys that are made go.
        #[arg(long, default_value = "keys")]
        keys: PathBuf,
        /// A key that signs the authority's own files (ed25519:…, .pub or .key file); repeat.
        #[arg(long)]
        role_key: Vec<KeyOption>,
        /// How many such keys to make.
        #[arg(long, default_value_t = 1, conflicts_with = "role_key")]
        role_keys: usize,
        /// How many of them must sign.
        #[arg(long, default_value_t = 1)]
        role_threshold: usize,
        /// Days that its signature holds.
        #[arg(long, default_value_t = 90)]
        role_days: u64,
        /// The node's key; made as node.key in --keys if not given.
        #[arg(long)]
        node_key: Option<KeyOption>,
        /// Where its node listens: host:port (UDP); repeat.
        #[arg(long, required = true)]
        quic: Vec<HostPort>,
        /// The WebSocket fallback: wss://host:port/path; repeat.
        #[arg(long)]
        websocket: Vec<WebSocketUrl>,
        /// Its public HTTP, where others read its log and ask it for cosignatures: https://host:port; repeat.
        #[arg(long)]
        http: Vec<HttpBase>,
        /// Where it gossips: host:port (UDP); repeat.
        #[arg(long)]
        gossip: Vec<HostPort>,
        /// The key of its log; made as log.key in --keys if not given.
        #[arg(long)]
        log_key: Option<KeyOption>,
    },
    /// Draft a service that may send.
    AddService {
        /// Its name before the @: rdv
        name: String,
        #[command(flatten)]
        dir: Dir,
        /// Its signing key (ed25519:…, .pub or .key file; a missing .key file is made).
        #[arg(long)]
        service_key: KeyOption,
        /// Its name for citizens, in French.
        #[arg(long)]
        name_fr: String,
        /// The same in English.
        #[arg(long)]
        name_en: String,
        /// A class it may send; repeat.
        #[arg(long, value_enum, default_values_t = [ClassOption::Message])]
        class: Vec<ClassOption>,
        /// An importance it may claim; repeat.
        #[arg(long, value_enum, default_values_t = [ImportanceOption::Information, ImportanceOption::Action])]
        importance: Vec<ImportanceOption>,
        /// A host that its links may lead to; repeat.
        #[arg(long)]
        link_host: Vec<LinkHost>,
    },
    /// Change what a drafted service may send, or list further keys.
    SetService {
        /// Its name before the @: rdv
        name: String,
        #[command(flatten)]
        dir: Dir,
        /// A further signing key (ed25519:…, .pub or .key file; a missing .key file is made); repeat.
        #[arg(long)]
        service_key: Vec<KeyOption>,
        /// A class it may send; repeat. Replaces those of before.
        #[arg(long, value_enum)]
        class: Vec<ClassOption>,
        /// An importance it may claim; repeat. Replaces those of before.
        #[arg(long, value_enum)]
        importance: Vec<ImportanceOption>,
        /// A host that its links may lead to; repeat. Replaces those of before.
        #[arg(long)]
        link_host: Vec<LinkHost>,
    },
    /// Change where the node is, or list further keys.
    SetNode {
        #[command(flatten)]
        dir: Dir,
        /// host:port (UDP); repeat. Replaces those of before.
        #[arg(long)]
        quic: Vec<HostPort>,
        /// wss://host:port/path; repeat. Replaces those of before.
        #[arg(long)]
        websocket: Vec<WebSocketUrl>,
        /// https://host:port; repeat. Replaces those of before.
        #[arg(long)]
        http: Vec<HttpBase>,
        /// host:port (UDP); repeat. Replaces those of before.
        #[arg(long)]
        gossip: Vec<HostPort>,
        /// A further key of the node; repeat.
        #[arg(long)]
        node_key: Vec<KeyOption>,
        /// A further gateway's key; repeat.
        #[arg(long)]
        gateway_key: Vec<KeyOption>,
        /// A further key of the log; repeat.
        #[arg(long)]
        log_key: Vec<KeyOption>,
    },
    /// End a key now; what it signed before stays verifiable.
    Revoke {
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        whose: Whose,
        /// Which key, where several are in force: ed25519:… or its beginning, as `pli authority show` gives it, a
        /// .pub or .key file, or a key id, as logs give it.
        #[arg(long, alias = "key-id", value_name = "KEY")]
        old_key: Option<String>,
        /// The key that takes its place (a missing .key file is made).
        #[arg(long)]
        new_key: Option<KeyOption>,
        /// When it was stolen, if it was: 2026-11-22T08:00:00Z. It ends then, not now.
        #[arg(long, value_name = "TIME", value_parser = past)]
        stolen_at: Option<Timestamp>,
    },
    /// Sign the draft and write the hand-over for the federation.
    Publish {
        #[command(flatten)]
        dir: Dir,
        /// A secret key file of the role, or a directory of them; repeat until the threshold is met.
        #[arg(long = "key")]
        key: Vec<PathBuf>,
    },
    /// Show the node, the services and their keys.
    Show {
        #[command(flatten)]
        dir: Dir,
    },
}

/// A moment that has been. A key that ends later would go on being used by whoever stole it.
fn past(text: &str) -> Result<Timestamp, String> {
    let instant: jiff::Timestamp = text
        .parse()
        .map_err(|_| "expected a time such as 2026-11-22T08:00:00Z".to_owned())?;
    let at = u64::try_from(instant.as_millisecond())
        .map(Timestamp::from_ms)
        .map_err(|_| "it is before 1970".to_owned())?;
    if at > clock::now() {
        return Err("it is in the future".to_owned());
    }
    Ok(at)
}

/// The workspace.
#[derive(Args, Clone, Debug)]
pub struct Dir {
    /// The authority's workspace.
    #[arg(long, default_value = "authority")]
    pub dir: PathBuf,
}

/// Whose key.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// A service's.
    #[arg(long)]
    pub service: Option<String>,
    /// The node's.
    #[arg(long)]
    pub node: bool,
    /// A gateway's.
    #[arg(long)]
    pub gateway: bool,
    /// The log's.
    #[arg(long)]
    pub log: bool,
}

/// See `envelope.md`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ClassOption {
    /// A letter.
    Message,
    /// An answer.
    Reply,
    /// A public alert.
    Alert,
    /// Between programs.
    Control,
}

/// See `envelope.md`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum ImportanceOption {
    /// To be read.
    Information,
    /// To be acted on.
    Action,
    /// With effect in law.
    Legal,
}

impl From<ClassOption> for Class {
    fn from(option: ClassOption) -> Self {
        match option {
            ClassOption::Message => Self::Message,
            ClassOption::Reply => Self::Reply,
            ClassOption::Alert => Self::Alert,
            ClassOption::Control => Self::Control,
        }
    }
}

impl From<ImportanceOption> for Importance {
    fn from(option: ImportanceOption) -> Self {
        match option {
            ImportanceOption::Information => Self::Information,
            ImportanceOption::Action => Self::Action,
            ImportanceOption::Legal => Self::Legal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TRU-4.8
    #[test]
    fn case_21_a_theft_is_a_moment_that_has_been() {
        let at = past("2026-01-22T08:00:00Z").expect("it has been");
        assert_eq!(at.as_ms(), 1_769_068_800_000);
        for text in ["2999-01-01T00:00:00Z", "1969-01-01T00:00:00Z", "yesterday"] {
            past(text).expect_err(text);
        }
    }
}
