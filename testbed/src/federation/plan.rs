//! Who takes part in a federation, and how its nodes are set.

use std::net::SocketAddr;
use std::path::PathBuf;

use pli_protocol::id::AuthorityId;

use super::Federation;
use crate::Error;
use crate::internet::Host;

/// An authority to be.
#[derive(Clone, Debug)]
pub struct AuthorityPlan {
    pub(super) id: AuthorityId,
    pub(super) name_fr: String,
    pub(super) name_en: String,
    pub(super) may_host: bool,
    pub(super) services: Vec<ServicePlan>,
    pub(super) published_quic: Option<SocketAddr>,
    pub(super) publishes_websocket: bool,
    /// `None`: on the loopback of this machine.
    pub(super) host: Option<Host>,
}

/// A service to be.
#[derive(Clone, Debug)]
pub struct ServicePlan {
    pub(super) name: String,
    pub(super) name_fr: String,
    pub(super) name_en: String,
    pub(super) link_hosts: Vec<String>,
}

impl AuthorityPlan {
    /// An authority that keeps no mailboxes.
    pub fn new(id: &str, name_fr: &str, name_en: &str) -> Self {
        Self {
            id: id.parse().expect("the plan names an authority"),
            name_fr: name_fr.to_owned(),
            name_en: name_en.to_owned(),
            may_host: false,
            services: Vec::new(),
            published_quic: None,
            publishes_websocket: true,
            host: None,
        }
    }

    /// It may keep citizens' mailboxes.
    #[must_use]
    pub fn hosts(mut self) -> Self {
        self.may_host = true;
        self
    }

    /// It has a service.
    #[must_use]
    pub fn service(
        mut self,
        name: &str,
        name_fr: &str,
        name_en: &str,
        link_hosts: &[&str],
    ) -> Self {
        self.services.push(ServicePlan {
            name: name.to_owned(),
            name_fr: name_fr.to_owned(),
            name_en: name_en.to_owned(),
            link_hosts: link_hosts.iter().map(|host| (*host).to_owned()).collect(),
        });
        self
    }
}

/// A federation to be.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) authorities: Vec<AuthorityPlan>,
    pub(super) folder: Option<PathBuf>,
    pub(super) dev: bool,
    pub(super) timestamp_days: u32,
    /// How many witnesses make evidence final; `None` publishes no policy.
    pub(super) witnesses: Option<usize>,
    /// `(table, key, value)`, the value as TOML; an empty table for the keys above the first.
    pub(super) settings: Vec<(String, String, String)>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            authorities: Vec::new(),
            folder: None,
            dev: false,
            timestamp_days: 3,
            witnesses: None,
            settings: Vec::new(),
        }
    }
}

impl Builder {
    /// Takes part.
    #[must_use]
    pub fn authority(mut self, authority: AuthorityPlan) -> Self {
        self.authorities.push(authority);
        self
    }

    /// Two hosts that write to each other's citizens; enough for most tests.
    #[must_use]
    pub fn two_hosts(self) -> Self {
        self.authority(
            AuthorityPlan::new(
                "interieur.gouv.fr",
                "Ministère de l’Intérieur",
                "Ministry of the Interior",
            )
            .hosts()
            .service(
                "rdv",
                "Rendez-vous",
                "Appointments",
                &["rdv.interieur.gouv.fr"],
            ),
        )
        .authority(
            AuthorityPlan::new("social.gouv.fr", "Affaires sociales", "Social Affairs")
                .hosts()
                .service(
                    "aides",
                    "Aides sociales",
                    "Benefits",
                    &["aides.social.gouv.fr"],
                ),
        )
    }

    /// The directory names this address instead of the authority's own: that of a relay in front of its node.
    #[must_use]
    pub fn published_quic(mut self, authority: &str, address: SocketAddr) -> Self {
        self.planned(authority).published_quic = Some(address);
        self
    }

    /// The directory names no WebSocket of this authority, so nobody can fall back to it.
    #[must_use]
    pub fn without_websocket(mut self, authority: &str) -> Self {
        self.planned(authority).publishes_websocket = false;
        self
    }

    /// The nodes run there, in their order, and not on the loopback of this machine.
    #[must_use]
    pub fn on(mut self, hosts: &[Host]) -> Self {
        for (authority, host) in self.authorities.iter_mut().zip(hosts) {
            authority.host = Some(host.clone());
        }
        self
    }

    fn planned(&mut self, authority: &str) -> &mut AuthorityPlan {
        let found = self
            .authorities
            .iter_mut()
            .find(|plan| plan.id.as_str() == authority);
        found.unwrap_or_else(|| panic!("{authority} is not in the plan yet"))
    }

    /// So many other nodes must have cosigned a log before evidence in it is final.
    #[must_use]
    pub fn witnesses(mut self, count: usize) -> Self {
        self.witnesses = Some(count);
        self
    }

    /// Everything goes into this folder, which stays.
    #[must_use]
    pub fn folder(mut self, folder: PathBuf) -> Self {
        self.folder = Some(folder);
        self
    }

    /// A line of every node's configuration; the value is TOML: `"20s"` with its quotes, or `5`.
    #[must_use]
    pub fn set(mut self, table: &str, key: &str, value: &str) -> Self {
        self.settings
            .push((table.to_owned(), key.to_owned(), value.to_owned()));
        self
    }

    /// Makes everything; starts nothing.
    pub async fn make(self) -> Result<Federation, Error> {
        Federation::make(&self).await
    }

    /// Makes everything, starts every node and waits until they are ready.
    pub async fn start(self) -> Result<Federation, Error> {
        let mut federation = self.make().await?;
        federation.start().await?;
        Ok(federation)
    }
}
