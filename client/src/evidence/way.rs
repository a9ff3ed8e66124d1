//! Who may say what of a letter.

use pli_protocol::custody::{Receipt, Step};
use pli_protocol::envelope::{Letter, Sender};
use pli_protocol::evidence::Event;
use pli_protocol::id::AuthorityId;

/// Whose nodes a letter passes: what others say of it is nobody's word (EVD-1.5, CUS-2.5).
pub(super) struct Way {
    /// Of the sender.
    pub(super) origin: AuthorityId,
    /// Of the recipient.
    home: AuthorityId,
}

impl Way {
    pub(super) fn of(letter: &Letter) -> Result<Self, String> {
        let header = letter.header();
        let Sender::Service(service) = &header.sender else {
            return Err("its sender is not a service".to_owned());
        };
        Ok(Self {
            origin: service.authority().clone(),
            home: header.recipient.home.clone(),
        })
    }

    pub(super) fn check_event(&self, event: &Event) -> Result<(), String> {
        let (whose, expected) = match event.kind.is_of_origin() {
            true => ("the sender's own node", &self.origin),
            false => ("the recipient's home", &self.home),
        };
        says(&event.node, &[(whose, expected)])
    }

    pub(super) fn check_receipt(&self, receipt: &Receipt) -> Result<(), String> {
        let origin = ("the sender's own node", &self.origin);
        let home = ("the recipient's home", &self.home);
        match receipt.step {
            Step::Accepted => says(&receipt.node, &[origin]),
            Step::Stored | Step::Retrieved => says(&receipt.node, &[home]),
            Step::Undeliverable(_) | Step::Refused(_) => says(&receipt.node, &[origin, home]),
        }
    }
}

fn says(node: &AuthorityId, may: &[(&str, &AuthorityId)]) -> Result<(), String> {
    if may.iter().any(|(_, expected)| *expected == node) {
        return Ok(());
    }
    let may = may
        .iter()
        .map(|(whose, expected)| format!("{whose}, {expected}"));
    let may = may.collect::<Vec<_>>().join(" or ");
    Err(format!("{node} says so; only {may}, can"))
}
