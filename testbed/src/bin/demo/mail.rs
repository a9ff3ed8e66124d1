//! The letters: real events of partners, turned into contents by the same code that serves partners.

use pli_client::partner::{self, Format, PartnerEvent};
use pli_testbed::fixtures::{self, TestCitizen};
use serde_json::{Value, json};

use crate::Trouble;

/// What an administration's program would send about this citizen.
fn event(citizen: &TestCitizen, mut body: Value, format: Format) -> Result<PartnerEvent, Trouble> {
    body["recipient_fc_hash"] = json!(citizen.fc_hash);
    if let Some(id) = body.get("item_id").and_then(Value::as_str) {
        // Each citizen's procedure has a number of its own.
        body["item_id"] = json!(format!("{id}-{}", citizen.id));
    }
    if body.get("valid_until").is_some() {
        // The sample's date is over; a letter that nobody may show would prove little.
        body["valid_until"] = json!("2099-01-03T00:00:00Z");
    }
    Ok(partner::convert_value(body, format)?)
}

/// The event API's own example: a step of a procedure.
pub(crate) fn procedure(citizen: &TestCitizen) -> Result<PartnerEvent, Trouble> {
    event(
        citizen,
        serde_json::from_str(fixtures::EVENT)?,
        Format::EventV2,
    )
}

/// The same partner over the older API.
pub(crate) fn notification(citizen: &TestCitizen) -> Result<PartnerEvent, Trouble> {
    event(
        citizen,
        serde_json::from_str(fixtures::NOTIFICATION)?,
        Format::NotificationV1,
    )
}

/// A request for holiday watch from its first step to its last.
pub(crate) fn holiday_watch(citizen: &TestCitizen) -> Result<Vec<PartnerEvent>, Trouble> {
    let steps: Vec<Value> = serde_json::from_str(fixtures::LIFECYCLE)?;
    steps
        .into_iter()
        .map(|step| event(citizen, step, Format::EventV2))
        .collect()
}

/// An event without a procedure: words alone.
pub(crate) fn benefit(citizen: &TestCitizen) -> Result<PartnerEvent, Trouble> {
    let body = json!({
        "content_title": "Votre quotient familial a changé",
        "content_body": "Bonjour,\nvotre nouveau quotient familial est disponible dans votre espace.",
        "content_private_body": format!("Dossier QF-{}", citizen.id),
        "content_icon": "fr-icon-mail-line",
        "content_link": "https://aides.social.gouv.fr/quotient",
        "event_date": "2026-11-20T09:00:00+01:00",
        "try_push": true,
    });
    event(citizen, body, Format::EventV2)
}
