//! One real node: its configuration, its process, what it says of itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use pli_protocol::id::AuthorityId;

use super::{AuthorityPlan, Builder, text};
use crate::binaries::Binaries;
use crate::internet::{self, Host};
use crate::process::Process;
use crate::{Error, ops, ports};

/// A start that takes longer has failed.
const READY_WITHIN: Duration = Duration::from_secs(30);
const READY_POLL: Duration = Duration::from_millis(20);

/// Where a node listens; the same over every restart.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Sessions over QUIC.
    pub quic: SocketAddr,
    /// Sessions over WebSocket.
    pub websocket: SocketAddr,
    /// Public HTTP: the directory.
    pub http: SocketAddr,
    /// Gossip.
    pub gossip: SocketAddr,
    /// Operations.
    pub ops: SocketAddr,
}

/// A node that may run.
#[derive(Debug)]
pub struct Node {
    authority: AuthorityId,
    program: PathBuf,
    host: Option<Host>,
    home: PathBuf,
    addresses: Addresses,
    config: PathBuf,
    process: Option<Process>,
}

impl Node {
    pub(super) async fn new(
        binaries: &Binaries,
        plan: &AuthorityPlan,
        home: &Path,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(home)?;
        let public = || {
            let loopback = ports::free();
            match &plan.host {
                Some(host) => SocketAddr::from((host.address(), loopback.port())),
                None => loopback,
            }
        };
        let addresses = Addresses {
            quic: public(),
            websocket: public(),
            http: public(),
            gossip: public(),
            ops: ports::free(),
        };
        if let Some(host) = &plan.host {
            host.forward(addresses.ops).await?;
        }
        Ok(Self {
            authority: plan.id.clone(),
            program: binaries.node.clone(),
            host: plan.host.clone(),
            home: home.to_owned(),
            addresses,
            config: home.join("node.toml"),
            process: None,
        })
    }

    pub(super) fn write_config(&self, repository: &Path, plan: &Builder) -> Result<(), Error> {
        let Addresses {
            quic,
            websocket,
            http,
            gossip,
            ops,
        } = self.addresses;
        let root = repository.join("metadata/root.json");
        let mut tables: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        let mut set = |table, key, value: String| {
            tables.entry(table).or_default().insert(key, value);
        };
        let quoted = |text: &str| format!("{text:?}");
        set("", "authority", quoted(self.authority.as_str()));
        set("", "key", quoted("keys/node.key"));
        set("", "dev", plan.dev.to_string());
        set("store", "url", quoted("fjall:store"));
        set("evidence", "folder", quoted("evidence"));
        set("evidence", "key", quoted("keys/log.key"));
        set("listen", "quic", quoted(&quic.to_string()));
        set("listen", "websocket", quoted(&websocket.to_string()));
        set("listen", "http", quoted(&http.to_string()));
        set("listen", "gossip", quoted(&gossip.to_string()));
        set("listen", "ops", quoted(&ops.to_string()));
        let networks = match &self.host {
            Some(_) => internet::network(),
            None => "127.0.0.0/8".to_owned(),
        };
        set("dial", "private_networks", format!("[{networks:?}]"));
        set("trust", "root", quoted(text(&root)?));
        set("trust", "sources", format!("[{:?}]", text(repository)?));
        set("trust", "datastore", quoted("trust"));
        for (table, key, value) in &plan.settings {
            set(table, key, value.clone());
        }
        let mut toml = String::new();
        for (table, keys) in &tables {
            if !table.is_empty() {
                writeln!(toml, "\n[{table}]").expect("a string takes everything");
            }
            for (key, value) in keys {
                writeln!(toml, "{key} = {value}").expect("a string takes everything");
            }
        }
        std::fs::write(&self.config, toml)?;
        Ok(())
    }

    /// Whose node.
    pub fn authority(&self) -> &AuthorityId {
        &self.authority
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Its configuration file.
    pub fn config_path(&self) -> &Path {
        &self.config
    }

    /// Its folder: keys, store, log.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The file of everything it writes.
    pub fn log_path(&self) -> PathBuf {
        self.home.join("node.log")
    }

    /// The running process.
    pub fn process(&mut self) -> Result<&mut Process, Error> {
        let name = self.authority.to_string();
        self.process
            .as_mut()
            .ok_or_else(|| Error::unexpected(name, "its node does not run"))
    }

    /// Starts it; [`Node::wait_ready`] says when it answers.
    pub fn start(&mut self) -> Result<(), Error> {
        let name = format!("pli-node of {}", self.authority);
        let inside = self.host.as_ref().map(Host::enter);
        let mut line: Vec<&str> = inside.iter().flatten().map(String::as_str).collect();
        line.extend([text(&self.program)?, "--config", text(&self.config)?]);
        let (program, arguments) = (Path::new(line[0]), &line[1..]);
        self.process = Some(Process::start(&name, program, arguments, &self.log_path())?);
        Ok(())
    }

    /// Waits until `/readyz` says yes, or shows why it never will.
    pub async fn wait_ready(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        let address = self.addresses.ops;
        loop {
            if ops::get(address, "/readyz")
                .await
                .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            let name = self.authority.to_string();
            let process = self.process()?;
            if let Some(status) = process.ended()? {
                return Err(Error::Ended {
                    name,
                    status,
                    log: process.tail(),
                });
            }
            if started.elapsed() > READY_WITHIN {
                return Err(Error::StillRuns {
                    name,
                    within: READY_WITHIN,
                    log: process.tail(),
                });
            }
            tokio::time::sleep(READY_POLL).await;
        }
    }

    /// SIGKILL, as a power cut: nothing is drained, nothing is written.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.process()?.kill().await?;
        self.process = None;
        Ok(())
    }

    /// SIGTERM, and its exit status.
    pub async fn terminate(&mut self, within: Duration) -> Result<ExitStatus, Error> {
        let status = self.process()?.terminate(within).await?;
        self.process = None;
        Ok(status)
    }

    /// Starts it again and waits until it is ready.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.start()?;
        self.wait_ready().await
    }

    /// Whether its process runs.
    pub fn runs(&mut self) -> Result<bool, Error> {
        match &mut self.process {
            Some(process) => Ok(process.ended()?.is_none()),
            None => Ok(false),
        }
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::pid)
    }

    /// What it counts, by series.
    pub async fn samples(&self) -> Result<BTreeMap<String, f64>, Error> {
        let answer = ops::get(self.addresses.ops, "/metrics").await?;
        Ok(ops::samples(&answer.body))
    }

    /// One counter, summed over the labels that contain `label`.
    pub async fn count(&self, metric: &str, label: &str) -> Result<f64, Error> {
        Ok(ops::sum(&self.samples().await?, metric, label))
    }

    /// Resident memory of the process, in bytes (`/proc`).
    pub fn resident_bytes(&self) -> Result<u64, Error> {
        const PAGE: u64 = 4_096;
        let pid = self.pid().unwrap_or(0);
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
        let pages = statm
            .split(' ')
            .nth(1)
            .and_then(|pages| pages.parse::<u64>().ok());
        pages
            .map(|pages| pages * PAGE)
            .ok_or_else(|| Error::unexpected("/proc/statm", statm))
    }

    /// Bytes of its store's files.
    pub fn store_bytes(&self) -> Result<u64, Error> {
        folder_bytes(&self.home.join("store"))
    }
}

fn folder_bytes(folder: &Path) -> Result<u64, Error> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        // A file may vanish while the engine compacts.
        bytes += match entry.metadata() {
            Ok(_) if kind.is_dir() => folder_bytes(&entry.path())?,
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        };
    }
    Ok(bytes)
}
