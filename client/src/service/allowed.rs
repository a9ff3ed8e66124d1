//! What the directory lets a service send (TRU-3.4), asked before a letter is sealed: what every node
//! would refuse, or no device make clickable, is better said to the sender, with what to do.

use std::sync::Arc;

use pli_protocol::content::{Content, HttpsUrl};
use pli_protocol::envelope::{Class, Importance};
use pli_protocol::trust::ServiceRecord;

use crate::names;

/// What the directory says of one service.
#[derive(Clone, Debug)]
pub struct Allowed(Arc<ServiceRecord>);

/// An importance that the service may not claim.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "importance {got}: the authority lets this service send {listed} only; its operator allows it with: \
     pli authority set-service {name} {options}, then authority publish, then federation publish --from …/handover"
)]
pub struct ImportanceNotAllowed {
    got: &'static str,
    listed: String,
    name: String,
    options: String,
}

impl Allowed {
    /// Of a record of the directory.
    pub fn new(record: ServiceRecord) -> Self {
        Self(Arc::new(record))
    }

    /// Whether a message of this importance would be taken.
    pub fn importance(&self, importance: Importance) -> Result<(), ImportanceNotAllowed> {
        if !self.0.classes.contains(&Class::Message) || self.0.importances.contains(&importance) {
            // The class is not the sender's to choose: the node says so, with its code.
            return Ok(());
        }
        let listed: Vec<&str> = self
            .0
            .importances
            .iter()
            .copied()
            .map(names::importance)
            .collect();
        let got = names::importance(importance);
        let wanted = listed.iter().copied().chain([got]);
        let options: Vec<String> = wanted.map(|name| format!("--importance {name}")).collect();
        Err(ImportanceNotAllowed {
            got,
            listed: listed.join(", "),
            name: self.0.service.name().to_owned(),
            options: options.join(" "),
        })
    }

    /// The link of a content whose host the authority did not list: devices show it, and let nobody
    /// click it.
    pub fn unlisted_link<'a>(&self, content: &'a Content) -> Option<&'a HttpsUrl> {
        let url = &content.notice().link.as_ref()?.url;
        let listed = self
            .0
            .link_hosts
            .iter()
            .any(|host| host.as_str() == url.host());
        (!listed).then_some(url)
    }

    /// What to say of such a link.
    pub fn about_link(&self, host: &str) -> String {
        let known = self
            .0
            .link_hosts
            .iter()
            .map(|host| format!("--link-host {host} "));
        format!(
            "{host} is not among the hosts that the authority listed for this service: devices show such a link, but it cannot be clicked. \
             Its operator lists the host with: pli authority set-service {} {}--link-host {host}",
            self.0.service.name(),
            known.collect::<String>(),
        )
    }
}
