//! The configuration of a node: one TOML file in, a checked [`Config`] out.
//!
//! Every key is declared once, below, with its doc comment and its default; from these come the
//! parser, `node.example.toml` and the answer to an unknown key. Paths that are relative are taken
//! from the directory of the file.

use std::fs;
use std::path::{Path, PathBuf};

use pli_protocol::id::AuthorityId;
use pli_protocol::trust::Environment;
use pli_transport::{PrivateNetwork, PrivateNetworks};
use pli_trust::Source;

mod error;
mod example;
mod section;
mod store_url;
mod values;

pub use error::ConfigError;
pub use example::example;
pub use store_url::{StoreUrl, StoreUrlError};
pub use values::{Address, Period, Size, Text, ValueError};

use section::section;

/// A node's configuration, complete and checked for what can be checked without opening anything.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whose node this is.
    pub authority: AuthorityId,
    /// The file of the node's secret key.
    pub key: PathBuf,
    /// Whether published test keys and `SSLKEYLOGFILE` are accepted.
    pub environment: Environment,
    /// How long a stop may take.
    pub drain: Period,
    /// Where envelopes are kept.
    pub store: Store,
    /// What can be proven later.
    pub evidence: Evidence,
    /// Where the node listens.
    pub listen: Listen,
    /// What nodes tell each other.
    pub gossip: Gossip,
    /// Whom the node dials.
    pub dial: Dial,
    /// Where the directory comes from.
    pub trust: Trust,
    /// What one sender, mailbox or destination may take.
    pub quotas: Quotas,
    /// What the network may take of this machine.
    pub caps: Caps,
    /// What is logged.
    pub log: Log,
}

/// The checked `[trust]`.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The file of the federation's first root.
    pub root: PathBuf,
    /// Where updates come from; tried in order.
    pub sources: Vec<Source>,
    /// Where the verified copy is kept.
    pub datastore: PathBuf,
    /// Between two refreshes.
    pub refresh: Period,
}

section! {
    "" => Top {
        /// Whose node this is: the authority's name in the federation's directory.
        authority: Option<Text<AuthorityId>> = required "\"interieur.gouv.fr\"";
        /// The file of the node's secret key, whose public half the directory lists. Its mode is
        /// 0600, or the node does not start.
        key: Option<PathBuf> = required "\"/etc/pli/node.key\"";
        /// For development alone: accepts the published test keys and SSLKEYLOGFILE. Anyone who has
        /// read the documentation can be this node.
        dev: bool = default "false";
        /// How long a stop (SIGTERM) may take: calls under way end, nothing new begins. What is not
        /// done by then is not lost, only done after the next start.
        drain: Period = default "\"20s\"";
        store: Store = default "{}";
        evidence: Evidence = default "{}";
        listen: Listen = default "{}";
        gossip: Gossip = default "{}";
        dial: Dial = default "{}";
        trust: TrustKeys = default "{}";
        quotas: Quotas = default "{}";
        caps: Caps = default "{}";
        log: Log = default "{}";
    }
}

section! {
    /// Where envelopes are kept.
    "store" => pub Store {
        /// The engine and its place. `fjall:` is the embedded engine; it wants a local disk that
        /// keeps what it was told to keep (fsync).
        url: Text<StoreUrl> = default "\"fjall:/var/lib/pli/store\"";
        /// With less than this free on the disk the node takes nothing in (OVERLOADED) and goes on
        /// delivering; it recovers by itself.
        min_free: Size = default "\"256MiB\"";
        /// What became of a letter is kept so long after its expiry, with the signed evidence: senders
        /// ask for it, and devices' receipts come late.
        evidence_kept: Period = default "\"30d\"";
    }
}

section! {
    /// The log of what this node does with each letter: hashes alone, watched by the other nodes. It is what proves a
    /// delivery years later.
    "evidence" => pub Evidence {
        /// Without it nothing can be proven but by the receipts of this node alone.
        enabled: bool = default "true";
        /// Where the log is kept: about 40 bytes for each event. Keep it like the store: a log that is lost or copied
        /// back from a backup begins anew, and says so.
        folder: PathBuf = default "\"/var/lib/pli/evidence\"";
        /// The file of the secret key that signs the log, whose public half the directory lists (log_keys). Its mode
        /// is 0600, or the node does not start.
        key: PathBuf = default "\"/etc/pli/log.key\"";
    }
}

section! {
    /// Where the node listens. Port 0 takes a free one.
    "listen" => pub Listen {
        /// Sessions over QUIC (UDP).
        quic: Address = default "\"[::]:7400\"";
        /// Sessions over WebSocket (TLS on TCP), for browsers and for networks that block UDP; and
        /// public HTTP, the same as at `http`, over TLS with the node's own certificate.
        websocket: Address = default "\"[::]:7401\"";
        /// Public HTTP without TLS, for a reverse proxy on this machine: the trust repository under
        /// /trust, so that a device reads the directory from its home. TUF signs what is served.
        http: Address = default "\"127.0.0.1:7405\"";
        /// Gossip with the other nodes (libp2p over QUIC, UDP).
        gossip: Address = default "\"[::]:7403\"";
        /// Operations: /healthz, /readyz, /metrics, /status. Nothing asks who calls, so it must be
        /// a loopback address.
        ops: Address = default "\"127.0.0.1:7404\"";
    }
}

section! {
    /// What nodes tell each other by themselves: a newer directory, what logs have come to, that one is forked. They
    /// are known by the keys of the directory and dialled where it says (gossip), within `dial.private_networks`.
    "gossip" => pub Gossip {
        /// Without it a revocation comes with the next refresh, and nobody here hears of a forked log.
        enabled: bool = default "true";
    }
}

section! {
    /// Where the node dials other nodes. Their addresses are what their own authorities publish.
    "dial" => pub Dial {
        /// The private networks in which other nodes are, such as ["10.20.0.0/16"]. What is not listed
        /// here is not dialled, so that nobody's entry in the directory makes this node call machines
        /// behind your firewall: parts of 127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16,
        /// 100.64.0.0/10, ::1/128, fc00::/7, 64:ff9b:1::/48. Public addresses need no mention;
        /// link-local, multicast, reserved and metadata addresses are never dialled.
        private_networks: Vec<Text<PrivateNetwork>> = default "[]";
    }
}

section! {
    /// The federation's directory, a TUF repository.
    "trust" => TrustKeys {
        /// The federation's root metadata (root.json), got by a way you trust: everything else is
        /// believed because of it.
        root: Option<PathBuf> = required "\"/etc/pli/root.json\"";
        /// Where updates come from, tried in order: directories or https:// addresses that hold
        /// metadata/ and targets/. (http:// on this machine only.)
        sources: Option<Vec<Text<Source>>> = required "[\"https://federation.example/trust\"]";
        /// Where the verified copy is kept. It is what refuses a rollback: do not restore an old
        /// one, do not share it.
        datastore: PathBuf = default "\"/var/lib/pli/trust\"";
        /// Between two refreshes.
        refresh: Period = default "\"10m\"";
    }
}

section! {
    /// What one sender, mailbox or destination may take. The directory may grant less.
    "quotas" => pub Quotas {
        /// Envelopes accepted from one service in 24 hours.
        sender_per_day: u64 = default "10000000";
        /// Envelopes accepted from one service for one mailbox in 24 hours.
        sender_mailbox_per_day: u64 = default "256";
        /// Envelopes held for one mailbox; then it is full until its citizen takes some.
        mailbox_envelopes: u64 = default "8192";
        /// Bytes held for one mailbox.
        mailbox_bytes: Size = default "\"64MiB\"";
        /// Envelopes that wait for one destination.
        queue_envelopes: u64 = default "1000000";
        /// Bytes that wait for one destination.
        queue_bytes: Size = default "\"4GiB\"";
        /// Bytes that one account may read by Sync in an hour.
        sync_bytes_per_hour: Size = default "\"1GiB\"";
    }
}

section! {
    /// What the network may take of this machine.
    "caps" => pub Caps {
        /// Connections in total.
        connections: usize = default "20000";
        /// Connections from one address (IPv6: one /64).
        connections_per_address: usize = default "1024";
        /// Connections authenticated with one key.
        connections_per_key: usize = default "16";
        /// Connections that have not said yet who they are, by QUIC and by TCP each.
        handshakes: usize = default "1024";
        /// Connections to public HTTP at a time; as many again for operations.
        http: usize = default "256";
    }
}

section! {
    /// What is logged, on standard error.
    "log" => pub Log {
        /// "text" for people, "json" for machines.
        format: LogFormat = default "\"text\"";
        /// What is logged, as the `tracing` filter has it: "info", "warn,pli_node=debug". The
        /// environment variable PLI_LOG wins over it.
        filter: String = default "\"info\"";
    }
}

impl Dial {
    /// Where private addresses may be dialled.
    pub fn networks(&self) -> PrivateNetworks {
        let networks = self.private_networks.iter().map(|network| network.0);
        PrivateNetworks::Listed(networks.collect())
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder).map_err(|error| error.in_file(path))
    }

    /// Checks a text; relative paths are taken from `folder`.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        let top: Top = toml::from_str(text)?;
        let listen = top.listen;
        // Nothing asks who calls the operations address: only this machine may.
        if !listen.ops.ip().is_loopback() {
            return Err(ConfigError::OpsNotLoopback { got: *listen.ops });
        }
        let store = Store {
            url: Text(top.store.url.0.within(folder)),
            ..top.store
        };
        Ok(Self {
            authority: required(top.authority, "authority")?.0,
            key: folder.join(required(top.key, "key")?),
            environment: if top.dev {
                Environment::Development
            } else {
                Environment::Production
            },
            drain: top.drain,
            store,
            evidence: Evidence {
                folder: folder.join(top.evidence.folder),
                key: folder.join(top.evidence.key),
                ..top.evidence
            },
            listen,
            gossip: top.gossip,
            dial: top.dial,
            trust: Trust::check(top.trust, folder)?,
            quotas: top.quotas.check()?,
            caps: top.caps.check()?,
            log: top.log,
        })
    }
}

impl Trust {
    /// A refresh more often than this would only load the mirror.
    const REFRESH_MIN: Period = Period(std::time::Duration::from_secs(1));

    fn check(keys: TrustKeys, folder: &Path) -> Result<Self, ConfigError> {
        if keys.refresh < Self::REFRESH_MIN {
            return Err(ConfigError::TooSmall {
                key: "trust.refresh",
                minimum: "1s",
            });
        }
        let sources: Vec<Source> = required(keys.sources, "trust.sources")?
            .into_iter()
            .map(|Text(source)| match source {
                Source::Directory(path) => Source::Directory(folder.join(path)),
                mirror => mirror,
            })
            .collect();
        not_zero("trust.sources", sources.len() as u64)?;
        Ok(Self {
            root: folder.join(required(keys.root, "trust.root")?),
            sources,
            datastore: folder.join(keys.datastore),
            refresh: keys.refresh,
        })
    }
}

impl Quotas {
    fn check(self) -> Result<Self, ConfigError> {
        not_zero("quotas.sender_per_day", self.sender_per_day)?;
        not_zero("quotas.sender_mailbox_per_day", self.sender_mailbox_per_day)?;
        not_zero("quotas.mailbox_envelopes", self.mailbox_envelopes)?;
        not_zero("quotas.mailbox_bytes", self.mailbox_bytes.0)?;
        not_zero("quotas.queue_envelopes", self.queue_envelopes)?;
        not_zero("quotas.queue_bytes", self.queue_bytes.0)?;
        not_zero("quotas.sync_bytes_per_hour", self.sync_bytes_per_hour.0)?;
        Ok(self)
    }
}

impl Caps {
    fn check(self) -> Result<Self, ConfigError> {
        not_zero("caps.connections", self.connections as u64)?;
        not_zero(
            "caps.connections_per_address",
            self.connections_per_address as u64,
        )?;
        not_zero("caps.connections_per_key", self.connections_per_key as u64)?;
        not_zero("caps.handshakes", self.handshakes as u64)?;
        not_zero("caps.http", self.http as u64)?;
        Ok(self)
    }
}

fn required<T>(value: Option<T>, key: &'static str) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Missing { key })
}

// A zero would be read as "no limit" by some and as "nothing" by others.
fn not_zero(key: &'static str, value: u64) -> Result<(), ConfigError> {
    if value == 0 {
        return Err(ConfigError::TooSmall { key, minimum: "1" });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
