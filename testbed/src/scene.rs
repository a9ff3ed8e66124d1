//! The scene of most tests: two hosts, a service at the one, a citizen who lives at the other.

use std::sync::Arc;

use pli_client::clock;
use pli_client::service::Service;
use pli_client::service::batch::Prepared;
use pli_client::service::draft::{Draft, Handling};
use pli_protocol::account::Grant;
use pli_protocol::content::{Content, Kind, Notice, Text};

use crate::citizens::Citizen;
use crate::federation::Builder;
use crate::sending::prepare;
use crate::{Error, Federation};

/// The node where letters are submitted.
pub const ORIGIN: &str = "interieur.gouv.fr";
/// The node where the citizen lives.
pub const HOME: &str = "social.gouv.fr";
/// Writes.
pub const SERVICE: &str = "rdv@interieur.gouv.fr";

/// Everything is started and the citizen has given their grant.
#[derive(Debug)]
pub struct Scene {
    /// Both nodes.
    pub federation: Federation,
    /// Writes from [`ORIGIN`].
    pub service: Service,
    /// Lives at [`HOME`].
    pub citizen: Citizen,
    /// What the citizen gave the service's authority.
    pub grant: Arc<Grant>,
}

impl Scene {
    /// Sets the scene for a plan of which [`Builder::two_hosts`] is part.
    pub async fn set(plan: Builder) -> Result<Self, Error> {
        Self::of(plan.start().await?).await
    }

    /// Sets the scene in a federation that runs.
    pub async fn of(federation: Federation) -> Result<Self, Error> {
        let service = federation.service(SERVICE).await?;
        let mut citizen = federation.citizen("angela", HOME).await?;
        let grant = citizen.grant(&service).await?;
        Ok(Self {
            federation,
            service,
            citizen,
            grant,
        })
    }

    /// Letters that say their number, sealed and signed; the number is the tag.
    pub async fn letters(
        &self,
        count: usize,
        handling: Handling,
    ) -> Result<Vec<Prepared<usize>>, Error> {
        write(&self.service, &self.grant, count, handling).await
    }

    /// The same, of today and for a month.
    pub async fn plain_letters(&self, count: usize) -> Result<Vec<Prepared<usize>>, Error> {
        self.letters(count, Handling::new(clock::now())).await
    }
}

/// Letters of any service to any of its contacts.
pub async fn write(
    service: &Service,
    to: &Arc<Grant>,
    count: usize,
    handling: Handling,
) -> Result<Vec<Prepared<usize>>, Error> {
    let mut letters = Vec::with_capacity(count);
    for first in (0..count).step_by(pli_client::service::batch::BATCH_MAX) {
        let last = (first + pli_client::service::batch::BATCH_MAX).min(count);
        let mut drafts = Vec::with_capacity(last - first);
        for number in first..last {
            let draft = Draft::new(to.clone(), &notice(number), handling);
            drafts.push((
                number,
                draft.map_err(|error| Error::unexpected("a content", error))?,
            ));
        }
        letters.extend(prepare(service, drafts).await?);
    }
    Ok(letters)
}

/// Words with a number.
pub fn notice(number: usize) -> Content {
    let notice = Notice::new(
        Text::french(format!("Lettre {number}")),
        Text::french("Nous avons bien reçu votre demande."),
    );
    Content::from(Kind::Notice(notice))
}
