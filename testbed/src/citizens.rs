//! Citizens with a device each, in this process, by the library that `pli device` is made of.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pli_client::clock;
use pli_client::device::enrol::{EnrolRequest, enrol};
use pli_client::device::{Device, Shown, Standing};
use pli_client::service::Service;
use pli_protocol::account::Grant;
use pli_protocol::envelope::Class;
use pli_protocol::id::EnvelopeId;

use crate::{Error, Federation};

/// How often a citizen who waits looks again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Someone with an account at a home, and one device.
#[derive(Debug)]
pub struct Citizen {
    /// What the testbed calls them.
    pub name: String,
    /// Their phone.
    pub device: Device,
    /// Its folder.
    pub folder: PathBuf,
}

impl Federation {
    /// Invites a citizen at a home and enrols their device.
    pub async fn citizen(&self, name: &str, home: &str) -> Result<Citizen, Error> {
        let links = self.invitations(home, 1).await?;
        let link = links
            .first()
            .ok_or_else(|| Error::unexpected("invitations", "none was made"))?;
        self.reception(home).enrol(name, link).await
    }

    /// Where the citizens of a home enrol.
    pub fn reception(&self, home: &str) -> Reception {
        let http = self.node(home).addresses().http;
        // As a phone does: the directory comes from the home, and is believed for its signatures alone. No client takes it
        // in plain HTTP from another machine.
        let directory = match http.ip().is_loopback() {
            true => format!("http://{http}/trust"),
            false => self.repository().display().to_string(),
        };
        Reception {
            devices: self.folder().join("devices"),
            directory,
        }
    }
}

/// Enrols devices at one home. Cheap to clone, for many at a time.
#[derive(Clone, Debug)]
pub struct Reception {
    devices: PathBuf,
    directory: String,
}

impl Reception {
    /// Enrols the device of a citizen who was invited.
    pub async fn enrol(&self, name: &str, link: &str) -> Result<Citizen, Error> {
        let folder = self.devices.join(name);
        std::fs::create_dir_all(&folder)?;
        let request = EnrolRequest {
            link: link
                .parse()
                .map_err(|error| Error::unexpected("an invitation", error))?,
            source: self.directory.clone(),
            dev: false,
        };
        let enrolled = enrol(&folder, &request).await;
        enrolled.map_err(|error| Error::unexpected(format!("enrolling {name}"), error))?;
        Citizen::open(name, folder).await
    }
}

impl Citizen {
    /// Opens a device that was enrolled.
    pub async fn open(name: &str, folder: PathBuf) -> Result<Self, Error> {
        let device = Device::open(&folder, Standing::Working).await;
        let device = device.map_err(|error| Error::unexpected(name, error))?;
        Ok(Self {
            name: name.to_owned(),
            device,
            folder,
        })
    }

    /// Lets a service's authority write; the service pins the grant under this citizen's name.
    pub async fn grant(&mut self, service: &Service) -> Result<Arc<Grant>, Error> {
        let name = self.name.clone();
        self.grant_as(service, &name).await
    }

    /// The same; the service knows the citizen by another name.
    pub async fn grant_as(
        &mut self,
        service: &Service,
        contact: &str,
    ) -> Result<Arc<Grant>, Error> {
        let accepts = BTreeSet::from([Class::Message]);
        let authority = service.id().authority();
        let signed = self.device.grant(authority, accepts, false).await;
        let signed =
            signed.map_err(|error| Error::unexpected(format!("{} grants", self.name), error))?;
        let added = service
            .contacts()
            .add(signed.encoded().clone(), Some(contact), clock::now());
        let (contact, _) = added.map_err(|error| Error::unexpected("a contact", error))?;
        Ok(contact.grant)
    }

    /// Fetches what is new, verifies and opens it, and tells the home that it is here.
    pub async fn receive(&mut self) -> Result<Vec<Shown>, Error> {
        let fail = |error| Error::unexpected(format!("{}'s device", self.name), error);
        let entries = self.device.sync().await.map_err(fail)?;
        let shown = self.device.look(entries).await;
        let letters: Vec<(u64, EnvelopeId)> = shown
            .iter()
            .filter_map(|one| Some((one.entry.numbered.seq, one.verified()?.id())))
            .collect();
        self.device.acknowledge(&letters).await.map_err(fail)?;
        Ok(shown)
    }

    /// Receives until `count` letters have come since this call began, or time is up.
    pub async fn receive_at_least(
        &mut self,
        count: usize,
        within: Duration,
    ) -> Result<Vec<Shown>, Error> {
        let started = Instant::now();
        let mut received = Vec::new();
        loop {
            received.extend(self.receive().await?);
            if received.len() >= count {
                return Ok(received);
            }
            if started.elapsed() > within {
                let what = format!("{count} letters for {}, {} came", self.name, received.len());
                return Err(Error::Timeout { what, within });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
