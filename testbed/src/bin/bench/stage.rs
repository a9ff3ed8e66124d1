//! A federation of three real nodes with accounts, and one connected device for each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pli_client::clock;
use pli_client::device::config::Paths;
use pli_client::device::enrol::{EnrolRequest, enrol};
use pli_client::device::{Device, Standing};
use pli_client::reach;
use pli_client::service::Service;
use pli_protocol::account::Grant;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::envelope::Class;
use pli_protocol::id::AuthorityId;
use pli_protocol::session::Principal;
use pli_testbed::Federation;
use pli_testbed::federation::AuthorityPlan;
use pli_transport::{Credential, DialledConnection, Dialler};
use pli_trust::keyfile;
use tokio::task::JoinSet;

use crate::Anyhow;

/// Writes, and hosts some of those it writes to.
pub(crate) const INTERIOR: &str = "interieur.gouv.fr";
/// Hosts.
pub(crate) const SOCIAL: &str = "social.gouv.fr";
/// Hosts, and dies when asked to.
pub(crate) const DIGITAL: &str = "numerique.gouv.fr";
const SERVICE: &str = "rdv@interieur.gouv.fr";

/// Accounts of each host; the digital directorate has fewer, it is there to die.
const ACCOUNTS: [(&str, usize); 3] = [(INTERIOR, 64), (SOCIAL, 65), (DIGITAL, 4)];
/// Enrolled at once.
const ENROLLING: usize = 4;

/// Someone to write to.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    /// Where their letters go and how they are sealed.
    pub(crate) grant: Arc<Grant>,
    /// Their device's key, to connect as it.
    pub(crate) device: Arc<SigningKey>,
}

/// Whether the nodes keep a log of what they do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keeps {
    /// As a federation does that asks for one witness.
    Evidence,
    /// To see what the log costs.
    NoEvidence,
}

/// Everything that a measurement needs.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) federation: Federation,
    pub(crate) service: Service,
    pub(crate) keeps: Keeps,
    recipients: BTreeMap<&'static str, Vec<Recipient>>,
}

impl Stage {
    /// Starts three nodes and enrols every account. Quotas are as high as a bench needs them.
    pub(crate) async fn raise(keeps: Keeps) -> Result<Self, Anyhow> {
        let host = |id, name| AuthorityPlan::new(id, name, name).hosts();
        let mut plan = Federation::builder()
            .authority(host(INTERIOR, "Intérieur").service(
                "rdv",
                "Rendez-vous",
                "Appointments",
                &[],
            ))
            .authority(host(SOCIAL, "Affaires sociales"))
            .authority(host(DIGITAL, "Direction du numérique"));
        for (key, value) in [
            ("sender_per_day", "1000000000"),
            ("sender_mailbox_per_day", "1000000000"),
            ("mailbox_envelopes", "1000000000"),
            ("mailbox_bytes", "\"1024GiB\""),
            ("queue_envelopes", "1000000000"),
            ("queue_bytes", "\"1024GiB\""),
            ("sync_bytes_per_hour", "\"1024GiB\""),
        ] {
            plan = plan.set("quotas", key, value);
        }
        // An hour of letters that live for minutes must fit on this disk, and come to an end within the hour.
        plan = plan.set("store", "evidence_kept", "\"2m\"");
        // A refusal is a line of the log; a bench has none, and what the node logs else is for people.
        plan = plan.set("log", "filter", "\"warn\"");
        plan = match keeps {
            Keeps::Evidence => plan.witnesses(1),
            Keeps::NoEvidence => plan.set("evidence", "enabled", "false"),
        };
        let federation = plan.start().await?;
        let service = federation.service(SERVICE).await?;
        let mut recipients = BTreeMap::new();
        for (home, count) in ACCOUNTS {
            recipients.insert(home, accounts(&federation, home, count).await?);
        }
        Ok(Self {
            federation,
            service,
            keeps,
            recipients,
        })
    }

    /// The accounts of a home.
    pub(crate) fn recipients(&self, home: &str) -> &[Recipient] {
        &self.recipients[home]
    }

    /// The account whose device measures times, at the social home; loads go to the others.
    pub(crate) fn probe(&self) -> &Recipient {
        &self.recipients(SOCIAL)[0]
    }

    /// The accounts that loads go to.
    pub(crate) fn crowd(&self, home: &str) -> &[Recipient] {
        let all = self.recipients(home);
        if home == SOCIAL { &all[1..] } else { all }
    }

    /// A connection of its own, and a socket, as the service to its own node.
    pub(crate) async fn connect_service(&self) -> Result<DialledConnection, Anyhow> {
        let principal = Principal::Service(self.service.id().clone());
        let key = Arc::clone(self.service.key());
        self.connect(Credential { principal, key }, INTERIOR).await
    }

    /// A connection as a device to its home.
    pub(crate) async fn connect_device(
        &self,
        recipient: &Recipient,
    ) -> Result<DialledConnection, Anyhow> {
        let credential = Credential {
            principal: Principal::Device,
            key: Arc::clone(&recipient.device),
        };
        self.connect(credential, recipient.grant.mailbox.home.as_str())
            .await
    }

    async fn connect(&self, who: Credential, to: &str) -> Result<DialledConnection, Anyhow> {
        let directory = self.service.directory().current();
        let to: AuthorityId = to.parse()?;
        Ok(reach::connect(&Dialler::new(who), &directory, &to, clock::now()).await?)
    }
}

async fn accounts(
    federation: &Federation,
    home: &'static str,
    count: usize,
) -> Result<Vec<Recipient>, Anyhow> {
    let links = federation.invitations(home, count).await?;
    let devices = federation.folder().join("bench-devices");
    std::fs::create_dir_all(&devices)?;
    let mut recipients = Vec::with_capacity(count);
    let mut joining = JoinSet::new();
    for (index, link) in links.into_iter().enumerate() {
        if joining.len() == ENROLLING {
            recipients.push(joining.join_next().await.ok_or("one is joining")???);
        }
        let request = EnrolRequest {
            link: link.parse()?,
            source: federation.repository().display().to_string(),
            dev: false,
        };
        joining.spawn(join(devices.join(format!("{home}-{index}")), request));
    }
    while let Some(joined) = joining.join_next().await {
        recipients.push(joined??);
    }
    Ok(recipients)
}

async fn join(folder: PathBuf, request: EnrolRequest) -> Result<Recipient, Anyhow> {
    enrol(&folder, &request).await?;
    let grant = grant(&folder).await?;
    let device = Arc::new(keyfile::load(&Paths::new(&folder).key())?);
    Ok(Recipient { grant, device })
}

async fn grant(folder: &Path) -> Result<Arc<Grant>, Anyhow> {
    let mut device = Device::open(folder, Standing::Working).await?;
    let interior: AuthorityId = INTERIOR.parse()?;
    let accepts = BTreeSet::from([Class::Message]);
    let granted = device.grant(&interior, accepts, false).await?;
    device.hang_up().await;
    Ok(Arc::new(granted.grant().clone()))
}
