//! Level 3: a letter from a service to a citizen's device, through one node or two, with every receipt
//! rebuilt and checked by the suite's own code. Spec: CUS, MBX.
//!
//! Each run opens a mailbox of its own, so that neither an earlier run nor a quota disturbs it.

mod account;
mod batches;
mod custody;
mod delivery;
mod grants;
mod invitations;
mod letters;
mod refusals;
mod submit;

use super::{Level, Run, Stop, unsupported};
use crate::config::{Config, Service};
use crate::dial::{Server, Via};
use crate::session::{Failed, ROLE_SERVICE, Session, Who};
use account::Account;

/// What every case of the level needs.
#[derive(Debug)]
pub(super) struct Ground {
    origin: Server,
    home: Server,
    service: Service,
    account: Account,
}

impl Ground {
    /// The transport for cases that are not about it: the first that is configured.
    fn via(server: &Server) -> Via {
        if server.quic.is_some() {
            Via::Quic
        } else {
            Via::WebSocket
        }
    }

    async fn at_origin(&self) -> Result<Session, Failed> {
        self.at_origin_by(Self::via(&self.origin)).await
    }

    async fn at_origin_by(&self, via: Via) -> Result<Session, Failed> {
        let service = &self.service;
        let who = Who {
            role: ROLE_SERVICE,
            name: service.id.clone(),
            key: service.key.clone(),
        };
        Session::open(&self.origin, via, &who).await
    }

    async fn at_home(&self) -> Result<Session, Failed> {
        self.at_home_by(Self::via(&self.home)).await
    }

    async fn at_home_by(&self, via: Via) -> Result<Session, Failed> {
        Session::open(&self.home, via, &Who::device(self.account.device.clone())).await
    }

    /// Whether the origin is the home too, so that what a home refuses is refused at once.
    fn is_one_node(&self) -> bool {
        self.origin.authority == self.home.authority
    }

    fn authority(&self) -> &str {
        &self.origin.authority
    }
}

pub async fn run(run: &mut Run<'_>, config: &Config) {
    let ground = match ground(config).await {
        Ok(ground) => ground,
        Err(stop) => {
            run.case(
                Level::Relay,
                "ground",
                "a service, a device and their nodes",
                &["MBX-2.3"],
                async { Err(stop) },
            )
            .await;
            return;
        }
    };
    invitations::run(run, &ground, config).await;
    grants::run(run, &ground).await;
    // Without a grant nothing can be delivered: one verdict instead of forty alike.
    if let Err(stop) = account::open_mailbox(&ground).await {
        run.case(
            Level::Relay,
            "grant",
            "the home takes a grant",
            &["MBX-4.2"],
            async { Err(stop) },
        )
        .await;
        return;
    }
    run.case(
        Level::Relay,
        "grant",
        "the home takes a grant",
        &["MBX-4.2"],
        async { Ok(()) },
    )
    .await;
    submit::run(run, &ground).await;
    refusals::run(run, &ground).await;
    batches::run(run, &ground).await;
    delivery::run(run, &ground).await;
    custody::run(run, &ground).await;
}

async fn ground(config: &Config) -> Result<Ground, Stop> {
    let (Some(origin), Some(home)) = (config.origin.clone(), config.home.clone()) else {
        return unsupported("no [origin] is configured");
    };
    let Some(service) = config.service.clone() else {
        return unsupported("no [service] is configured");
    };
    let Some(device) = &config.device else {
        return unsupported("no [device] is configured");
    };
    let account = Account::ready(device, &home, origin.authority.as_str()).await?;
    Ok(Ground {
        origin,
        home,
        service,
        account,
    })
}
