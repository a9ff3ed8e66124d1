//! Level 2: sessions from outside, over QUIC and over WebSocket. Each case dials anew.

mod calls;
mod frames;
mod handshake;
mod limits;
mod names;
mod slow;
mod tls;

use super::{Run, Stop};
use crate::config::Config;
use crate::crypto::keys::SecretKey;
use crate::dial::{Server, Via};
use crate::session::{ROLE_SERVICE, Who};

/// What the cases of one transport need.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    server: Server,
    home: Server,
    via: Via,
    service: Option<Who>,
}

impl Ground {
    /// The configured service, for cases that begin with somebody whom the server knows.
    fn service(&self) -> Result<&Who, Stop> {
        self.service
            .as_ref()
            .ok_or_else(|| Stop::Unsupported("no [service] is configured".to_owned()))
    }

    /// Somebody whom the server lets in without knowing: a device before its enrolment (SES-3.5).
    fn stranger(&self) -> Who {
        Who::device(SecretKey::generate())
    }

    fn name(&self, case: &str) -> String {
        format!("{}/{case}", self.via.word())
    }
}

pub async fn run(run: &mut Run<'_>, config: &Config) {
    let Some(server) = config.origin.clone().or_else(|| config.home.clone()) else {
        run.case(
            super::Level::Session,
            "ports",
            "a node to dial",
            &["SES-1.1"],
            async { super::unsupported("neither [origin] nor [home] is configured") },
        )
        .await;
        return;
    };
    let home = config.home.clone().unwrap_or_else(|| server.clone());
    let service = config.service.as_ref().map(|service| Who {
        role: ROLE_SERVICE,
        name: service.id.clone(),
        key: service.key.clone(),
    });
    for via in Via::BOTH {
        let ground = Ground {
            server: server.clone(),
            home: home.clone(),
            via,
            service: service.clone(),
        };
        tls::run(run, &ground).await;
        handshake::run(run, &ground).await;
        names::run(run, &ground).await;
        frames::run(run, &ground).await;
        calls::run(run, &ground).await;
        limits::run(run, &ground).await;
        slow::run(run, &ground).await;
    }
}
