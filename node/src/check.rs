//! `--check`: looks at everything that a start needs, and says what was found. Makes no store and opens none:
//! it reads whose it is. It writes nothing: also the verified copy of the trust repository stays as it was. It asks
//! nobody but the trust repository, and the name service where its peers are.

use std::fmt::{self, Display};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Instant;

use pli_trust::legible;
use serde::Serialize;

use crate::clock::doubt::Anchor;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::evidence::not_listed;
use crate::fatal::Fatal;
use crate::federation;
use crate::foundation;
use crate::keys::NodeKey;
use crate::store::{self, Look};

mod peers;

/// What was found, in the order of a start.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Whether a start would succeed.
    pub ok: bool,
    /// One line for each thing that was looked at.
    pub lines: Vec<Line>,
    #[serde(skip)]
    exit_code: Option<u8>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Line {
    /// What.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, and what was expected if it is wrong.
    pub found: String,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The node starts, but a person should look.
    Warning,
    /// The node does not start.
    Refused,
}

impl Report {
    /// Looks at everything; what depends on something that is refused is left out.
    pub async fn of(config: &Config) -> Self {
        let mut report = Self::default();
        report.note("authority", Ok(config.authority.to_string()));
        report.note(
            "environment",
            foundation::environment(config).map(|()| environment(config)),
        );
        let key = foundation::key(config);
        let key = report.take("key", key, |key| {
            format!("{} (key id {})", key.key.public(), key.id())
        });
        report.trust(config, key.as_ref()).await;
        let store = key.as_ref().and_then(|key| report.store(config, key));
        report.evidence(config);
        if let Some(store) = store.filter(|_| config.evidence.enabled) {
            report.logs(config, store.as_ref());
        }
        report.addresses(config);
        report.ok = report.exit_code.is_none();
        report
    }

    /// 0, or the exit code that a start would end with.
    pub fn exit_code(&self) -> u8 {
        self.exit_code.unwrap_or(0)
    }

    async fn trust(&mut self, config: &Config, key: Option<&NodeKey>) {
        let now = SystemClock.now();
        let found = foundation::look_at_trust(config, now).await;
        let Some(found) = self.take("trust", found, |found| {
            let directory = &found.directory;
            let versions = directory.versions();
            format!(
                "{}; root {}, targets {}, snapshot {}, timestamp {}",
                counted(
                    directory.authorities().count() as u64,
                    "authority",
                    "authorities"
                ),
                versions.root,
                versions.targets,
                versions.snapshot,
                versions.timestamp
            )
        }) else {
            return;
        };
        if let Some(problem) = &found.from_copy {
            let problem = format!("from the copy; no source was read: {problem}");
            self.warn("trust", problem);
        }
        for unread in &found.unread {
            self.warn("trust", unread.clone());
        }
        let directory = &found.directory;
        for line in directory.expiries() {
            let alarm = line.alarm(now);
            if alarm != pli_protocol::trust::Alarm::Quiet {
                let days = line.expires.since_ms(now) / 86_400_000;
                let left = counted(days, "day", "days");
                self.warn("trust", format!("{}: {alarm}, {left} left", line.role));
            }
        }
        for finding in directory.findings() {
            self.warn(
                "trust",
                format!("{}: {}", finding.authority, finding.refusal),
            );
        }
        if let Some(key) = key {
            let listed = key.check_listed(directory, now).map_err(Fatal::from);
            self.note(
                "key in the directory",
                listed.map(|()| "listed for this node".to_owned()),
            );
        }
        if config.evidence.enabled
            && let Ok(key) = foundation::log_key(config)
            && let Some(unlisted) = not_listed(directory, &config.authority, key.public(), now)
        {
            self.warn("evidence", unlisted);
        }
        if let Err(suspended) = federation::standing(directory, &config.authority, now) {
            self.warn("standing", suspended.to_string());
        }
        let networks = config.dial.networks();
        for peer in peers::not_dialled(directory, &config.authority, &networks).await {
            self.warn("peers", peer);
        }
    }

    /// The store if there is one; `None` if it is refused.
    fn store(&mut self, config: &Config, key: &NodeKey) -> Option<Option<Look>> {
        let url = &config.store.url;
        let looked = foundation::look_at_store(config, key);
        let looked = self.take("store", looked, |looked| match looked {
            None => format!("{url}; there is none yet: the first start makes it"),
            Some(look) => format!("{url}; epoch {}", look.epoch),
        });
        let Some(look) = looked? else {
            return Some(None);
        };
        if look.is_copy {
            self.warn("store", store::COPIED.to_owned());
        }
        if let Some(former) = look.former_key {
            self.warn(
                "store",
                format!("it was last opened with this node's former key, key id {former}"),
            );
        }
        let now = SystemClock.now();
        if let Some(doubt) =
            Anchor::former(Instant::now(), look.confirmed).look(Instant::now(), now)
        {
            self.warn("clock", doubt.to_string());
        }
        Some(Some(look))
    }

    fn evidence(&mut self, config: &Config) {
        if !config.evidence.enabled {
            let without = "switched off: only receipts prove what this node does";
            return self.note("evidence", Ok(without.to_owned()));
        }
        let key = foundation::log_key(config);
        self.note(
            "evidence",
            key.map(|key| format!("log key {}", key.public())),
        );
    }

    /// EVD-3.4: whether the log goes on.
    fn logs(&mut self, config: &Config, store: Option<&Look>) {
        let folder = config.evidence.folder.display();
        let looked = foundation::look_at_evidence(config, store);
        let looked = self.take("evidence folder", looked, |looked| match looked.began {
            None => format!("{folder}; there is no log yet: the first start makes it"),
            Some(began) => format!("{folder}; a log since {}", legible(began)),
        });
        if let Some(why) = looked.and_then(|looked| looked.anew) {
            self.warn(
                "evidence folder",
                format!(
                    "{why}: the next start begins a new log, and what this one holds stays provable by whoever has \
                     proofs. If the right folder or store is elsewhere, put it back before the start"
                ),
            );
        }
    }

    fn addresses(&mut self, config: &Config) {
        let listen = &config.listen;
        // Held until all are looked at: one address cannot be had twice.
        let (mut datagrams, mut held) = (Vec::new(), Vec::new());
        let gossip = config.gossip.enabled;
        let gossip = gossip.then_some(("listen.gossip", *listen.gossip));
        for (key, address) in [("listen.quic", *listen.quic)].into_iter().chain(gossip) {
            let bound = UdpSocket::bind(address).map(|socket| datagrams.push(socket));
            self.address(key, address, bound);
        }
        for (key, address) in [
            ("listen.websocket", *listen.websocket),
            ("listen.http", *listen.http),
            ("listen.ops", *listen.ops),
        ] {
            let bound = TcpListener::bind(address).map(|listener| held.push(listener));
            self.address(key, address, bound);
        }
    }

    fn address(&mut self, key: &'static str, address: SocketAddr, bound: std::io::Result<()>) {
        let bound = bound.map_err(|source| Fatal::Listen {
            key,
            address,
            source,
        });
        self.note(key, bound.map(|()| format!("{address} is free")));
    }

    fn note(&mut self, what: &'static str, outcome: Result<String, Fatal>) {
        self.take(what, outcome, Clone::clone);
    }

    fn take<T>(
        &mut self,
        what: &'static str,
        outcome: Result<T, Fatal>,
        found: impl Fn(&T) -> String,
    ) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.lines.push(Line {
                    what,
                    verdict: Verdict::Ok,
                    found: found(&value),
                });
                Some(value)
            }
            Err(fatal) => {
                // The exit code is that of the first thing a start would stumble over.
                self.exit_code.get_or_insert(fatal.exit_code());
                let found = fatal.to_string();
                self.lines.push(Line {
                    what,
                    verdict: Verdict::Refused,
                    found,
                });
                None
            }
        }
    }

    fn warn(&mut self, what: &'static str, found: String) {
        self.lines.push(Line {
            what,
            verdict: Verdict::Warning,
            found,
        });
    }
}

fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn environment(config: &Config) -> String {
    match config.environment {
        pli_protocol::trust::Environment::Production => "production".to_owned(),
        pli_protocol::trust::Environment::Development => {
            "development: published keys are accepted, anyone can be this node".to_owned()
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .lines
            .iter()
            .map(|line| line.what.len())
            .max()
            .unwrap_or(0);
        for Line {
            what,
            verdict,
            found,
        } in &self.lines
        {
            let verdict = match verdict {
                Verdict::Ok => "ok",
                Verdict::Warning => "warning",
                Verdict::Refused => "refused",
            };
            writeln!(f, "{what:width$}  {verdict:7}  {found}")?;
        }
        Ok(())
    }
}
