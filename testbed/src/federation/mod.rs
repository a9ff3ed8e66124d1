//! A federation of real nodes on this machine, made by the same commands as a real one.
//!
//! In: who takes part. Out: a TUF repository signed by `pli federation` and `pli authority`, one running `pli-node`
//! for each authority on loopback, open services, and invitations for devices. Everything lives in one folder, and
//! nothing of it outlives the [`Federation`].
//!
//! ```text
//! <folder>/federation/            workspace: repository/, staged/
//! <folder>/keys/{offline,online}  the federation's keys
//! <folder>/<authority>/           authority/ (workspace), keys/, node.toml, node.log, store/, trust/, services/<name>/
//! ```

mod node;
mod plan;

use std::path::{Path, PathBuf};

use pli_client::service::Service;
use pli_client::service::config::{DirectoryConfig, ServiceConfig};
use pli_client::{clock, content_json};
use pli_protocol::id::{AuthorityId, ServiceId, Timestamp};

use crate::Error;
use crate::binaries::Binaries;
use crate::process;

pub use node::{Addresses, Node};
pub use plan::{AuthorityPlan, Builder, ServicePlan};

const DAY_MS: u64 = 86_400_000;

/// A running federation. Dropping it kills every node and removes the folder, unless it was asked to stay.
#[derive(Debug)]
pub struct Federation {
    binaries: Binaries,
    folder: PathBuf,
    nodes: Vec<Node>,
    /// Last, so that the nodes are gone before their folder is.
    _temporary: Option<tempfile::TempDir>,
}

impl Federation {
    /// Says who takes part.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Makes the directory and everyone's files; starts nothing.
    async fn make(plan: &Builder) -> Result<Self, Error> {
        let binaries = Binaries::find()?;
        let (folder, temporary) = match &plan.folder {
            Some(folder) => (folder.clone(), None),
            None => {
                let temporary = tempfile::Builder::new().prefix("pli-").tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let mut federation = Self {
            binaries,
            folder,
            nodes: Vec::new(),
            _temporary: temporary,
        };
        federation.init(plan).await?;
        for authority in &plan.authorities {
            federation.take_in(authority, plan).await?;
        }
        if let Some(witnesses) = plan.witnesses {
            federation.demand_witnesses(witnesses).await?;
        }
        federation.publish().await?;
        for authority in &plan.authorities {
            for service in &authority.services {
                federation.write_service(&authority.id, &service.name, plan.dev)?;
            }
        }
        Ok(federation)
    }

    async fn init(&self, plan: &Builder) -> Result<(), Error> {
        let (dir, keys) = (self.workspace(), self.folder.join("keys"));
        let days = plan.timestamp_days.to_string();
        self.pli(&[
            "federation",
            "init",
            "--dir",
            text(&dir)?,
            "--keys",
            text(&keys)?,
            "--timestamp-days",
            &days,
        ])
        .await?;
        Ok(())
    }

    /// The authority's own half, then the federation's.
    async fn take_in(&mut self, authority: &AuthorityPlan, plan: &Builder) -> Result<(), Error> {
        let home = self.home(&authority.id);
        let node = Node::new(&self.binaries, authority, &home).await?;
        let (workspace, keys) = (home.join("authority"), home.join("keys"));
        let quic = authority
            .published_quic
            .unwrap_or(node.addresses().quic)
            .to_string();
        let websocket = format!("wss://{}/pli/1", node.addresses().websocket);
        let http = format!("http://{}", node.addresses().http);
        let gossip = node.addresses().gossip.to_string();
        let (dir, keys_dir) = (text(&workspace)?, text(&keys)?);
        let mut arguments = vec![
            "authority",
            "init",
            authority.id.as_str(),
            "--dir",
            dir,
            "--keys",
            keys_dir,
        ];
        arguments.extend([
            "--name-fr",
            &authority.name_fr,
            "--name-en",
            &authority.name_en,
            "--quic",
            &quic,
            "--http",
            &http,
            "--gossip",
            &gossip,
        ]);
        if authority.publishes_websocket {
            arguments.extend(["--websocket", &websocket]);
        }
        self.pli(&arguments).await?;
        for service in &authority.services {
            self.add_service(authority, service).await?;
        }
        self.publish_authority(&authority.id).await?;
        let host = format!("--host={}", authority.may_host);
        let handover = self.handover(&authority.id);
        // The threshold is two: two holders sign, each with a file of their own.
        let holder = |name: &str| self.folder.join("keys/offline").join(name);
        let (first, second) = (holder("targets-1.key"), holder("targets-2.key"));
        self.pli(&[
            "federation",
            "add-authority",
            text(&handover)?,
            "--dir",
            text(&self.workspace())?,
            &host,
            "--key",
            text(&first)?,
            "--key",
            text(&second)?,
        ])
        .await?;
        node.write_config(&self.workspace().join("repository"), plan)?;
        self.nodes.push(node);
        Ok(())
    }

    /// Stages how many witnesses make evidence final.
    pub async fn demand_witnesses(&self, count: usize) -> Result<(), Error> {
        let holder = |name: &str| self.folder.join("keys/offline").join(name);
        let (first, second) = (holder("targets-1.key"), holder("targets-2.key"));
        let (dir, count) = (self.workspace(), count.to_string());
        let arguments = [
            "federation",
            "policy",
            "--dir",
            text(&dir)?,
            "--witnesses",
            &count,
        ];
        let keys = ["--key", text(&first)?, "--key", text(&second)?];
        self.pli(&[&arguments[..], &keys[..]].concat()).await?;
        Ok(())
    }

    async fn add_service(
        &self,
        authority: &AuthorityPlan,
        service: &ServicePlan,
    ) -> Result<(), Error> {
        let (workspace, home) = (
            self.home(&authority.id).join("authority"),
            self.service_home(&authority.id, &service.name),
        );
        std::fs::create_dir_all(&home)?;
        let key = home.join("service.key");
        let mut arguments = vec![
            "authority",
            "add-service",
            &service.name,
            "--dir",
            text(&workspace)?,
            "--service-key",
            text(&key)?,
            "--name-fr",
            &service.name_fr,
            "--name-en",
            &service.name_en,
        ];
        for host in &service.link_hosts {
            arguments.extend(["--link-host", host]);
        }
        self.pli(&arguments).await?;
        let draft = format!("draft/services/{}.json", service.name);
        held_since_yesterday(&workspace.join(draft))
    }

    /// Signs an authority's draft with its role key.
    pub async fn publish_authority(&self, authority: &AuthorityId) -> Result<(), Error> {
        let home = self.home(authority);
        let (workspace, key) = (home.join("authority"), home.join("keys/role.key"));
        self.pli(&[
            "authority",
            "publish",
            "--dir",
            text(&workspace)?,
            "--key",
            text(&key)?,
        ])
        .await?;
        Ok(())
    }

    /// Publishes everything that is staged, with the online keys.
    pub async fn publish(&self) -> Result<(), Error> {
        let (dir, online) = (self.workspace(), self.folder.join("keys/online"));
        let handovers: Vec<PathBuf> = self
            .nodes
            .iter()
            .map(|node| self.handover(node.authority()))
            .collect();
        let mut arguments = vec![
            "federation",
            "publish",
            "--dir",
            text(&dir)?,
            "--key",
            text(&online)?,
        ];
        for handover in &handovers {
            arguments.extend(["--from", text(handover)?]);
        }
        self.pli(&arguments).await?;
        Ok(())
    }

    /// Ends a key, names another beside it as `new.key`, and publishes that, as the README says. `whose`: `--node`, or
    /// `--service` and a name.
    pub async fn revoke(&self, of: &AuthorityId, whose: &[&str], key: &Path) -> Result<(), Error> {
        let (draft, new) = (
            self.home(of).join("authority"),
            key.with_file_name("new.key"),
        );
        let (draft, new) = (text(&draft)?, text(&new)?);
        let mut arguments = vec!["authority", "revoke", "--dir", draft, "--new-key", new];
        arguments.extend(whose);
        self.pli(&arguments).await?;
        self.publish_authority(of).await?;
        self.publish().await
    }

    fn write_service(&self, authority: &AuthorityId, name: &str, dev: bool) -> Result<(), Error> {
        let config = ServiceConfig {
            service: format!("{name}@{authority}"),
            key: "service.key".into(),
            dev,
            directory: DirectoryConfig {
                root: self.root_file(),
                sources: vec![text(&self.workspace().join("repository"))?.to_owned()],
            },
        };
        config
            .write_new(&self.service_home(authority, name))
            .map_err(|error| Error::unexpected("service.toml", error))
    }

    /// Runs the `pli` command and returns what it printed.
    pub async fn pli(&self, arguments: &[&str]) -> Result<String, Error> {
        process::run(&self.binaries.pli, arguments).await
    }

    /// The node of an authority that takes part.
    pub fn node(&self, authority: &str) -> &Node {
        let found = self
            .nodes
            .iter()
            .find(|node| node.authority().as_str() == authority);
        found.unwrap_or_else(|| panic!("{authority} does not take part"))
    }

    /// The same, to start and stop it.
    pub fn node_mut(&mut self, authority: &str) -> &mut Node {
        let found = self
            .nodes
            .iter_mut()
            .find(|node| node.authority().as_str() == authority);
        found.unwrap_or_else(|| panic!("{authority} does not take part"))
    }

    /// Every node.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Starts every node, then waits until each says that it is ready.
    pub async fn start(&mut self) -> Result<(), Error> {
        for node in &mut self.nodes {
            node.start()?;
        }
        for node in &mut self.nodes {
            node.wait_ready().await?;
        }
        Ok(())
    }

    /// Opens a service, as its administration's program does.
    pub async fn service(&self, id: &str) -> Result<Service, Error> {
        let id: ServiceId = id.parse().map_err(|error| Error::unexpected(id, error))?;
        let home = self.service_home(id.authority(), id.name());
        Service::open(&home)
            .await
            .map_err(|error| Error::unexpected(id.to_string(), error))
    }

    /// One-time invitations to enrol at a node, as its operator makes them.
    pub async fn invitations(&self, authority: &str, count: usize) -> Result<Vec<String>, Error> {
        let config = self.node(authority).config_path();
        let count = count.to_string();
        let arguments = ["invite", "--config", text(config)?, "--count", &count];
        let printed = process::run(&self.binaries.node, &arguments).await?;
        Ok(printed.lines().map(str::to_owned).collect())
    }

    /// The federation's first root, which everyone trusts.
    pub fn root_file(&self) -> PathBuf {
        self.workspace().join("repository/metadata/root.json")
    }

    /// The published directory: `metadata/` and `targets/`.
    pub fn repository(&self) -> PathBuf {
        self.workspace().join("repository")
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An authority's folder.
    pub fn home(&self, authority: &AuthorityId) -> PathBuf {
        self.folder.join(authority.as_str())
    }

    /// A service's folder.
    pub fn service_home(&self, authority: &AuthorityId, name: &str) -> PathBuf {
        self.home(authority).join("services").join(name)
    }

    fn workspace(&self) -> PathBuf {
        self.folder.join("federation")
    }

    fn handover(&self, authority: &AuthorityId) -> PathBuf {
        self.home(authority).join("authority/handover")
    }
}

/// A service that has sent letters for a day: its key can have been stolen an hour ago.
fn held_since_yesterday(draft: &Path) -> Result<(), Error> {
    let unexpected = |error| Error::unexpected("a drafted service", error);
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(draft)?).map_err(unexpected)?;
    let yesterday = Timestamp::from_ms((clock::now().as_ms() - DAY_MS) / 1_000 * 1_000);
    record["keys"][0]["not_before"] = content_json::time(yesterday).into();
    std::fs::write(draft, record.to_string())?;
    Ok(())
}

/// A path as an argument.
fn text(path: &Path) -> Result<&str, Error> {
    path.to_str()
        .ok_or_else(|| Error::unexpected("a path", format!("{} is not UTF-8", path.display())))
}
