//! The words by which JSON and tables call what the protocol numbers.

use pli_protocol::code::Code;
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::envelope::{Class, Importance, Urgency};

/// A class of envelope.
pub fn class(class: Class) -> &'static str {
    match class {
        Class::Message => "message",
        Class::Reply => "reply",
        Class::Alert => "alert",
        Class::Control => "control",
    }
}

/// How soon to wake a device; the words of RFC 8030.
pub fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::VeryLow => "very-low",
        Urgency::Low => "low",
        Urgency::Normal => "normal",
        Urgency::High => "high",
    }
}

/// What is expected of the citizen.
pub fn importance(importance: Importance) -> &'static str {
    match importance {
        Importance::Information => "information",
        Importance::Action => "action",
        Importance::Legal => "legal",
    }
}

/// A step of custody, and why it failed.
pub fn step(step: Step) -> (&'static str, Option<Code>) {
    match step {
        Step::Accepted => ("accepted", None),
        Step::Stored => ("stored", None),
        Step::Retrieved => ("retrieved", None),
        Step::Undeliverable(code) => ("undeliverable", Some(code)),
        Step::Refused(code) => ("refused", Some(code)),
    }
}

/// What a node did with an envelope, and why it refused.
pub fn disposition(disposition: Disposition) -> (&'static str, Option<Code>) {
    match disposition {
        Disposition::Accepted => ("accepted", None),
        Disposition::Duplicate { .. } => ("duplicate", None),
        Disposition::Refused(code) => ("refused", Some(code)),
    }
}
