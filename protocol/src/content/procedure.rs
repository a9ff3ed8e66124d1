//! Procedure: one step in the life of a *démarche*. A device replays the steps of one
//! (sender, type, id) by `event` to show where it stands.
//! Spec: envelope.md, section 7.

use super::error::{ContentError, Problem};
use super::field;
use super::notice::Notice;
use super::text::{Line, Shape, Text};
use crate::id::Timestamp;
use crate::limits;
use crate::wire;

/// One step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Procedure {
    /// What kind of procedure, in the sender's own words: `OTV`.
    pub kind: Line,
    /// Which one, in the sender's own numbering.
    pub id: Line,
    /// Where it stands, for software.
    pub status: ProcedureStatus,
    /// Where it stands, for people.
    pub status_label: Text,
    /// When the step was taken.
    pub event: Timestamp,
    /// What to show.
    pub notice: Notice,
    /// The procedure that this one is part of, maybe at another partner.
    pub parent: Option<ProcedureReference>,
    /// When the next milestone starts, such as an appointment.
    pub milestone_start: Option<Timestamp>,
    /// When it ends; not before its start.
    pub milestone_end: Option<Timestamp>,
    /// The channel by which the procedure was begun.
    pub channel: Option<Line>,
}

/// Where a procedure stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProcedureStatus {
    /// Begun by the citizen, not yet with the authority.
    New,
    /// With the authority.
    InProgress,
    /// Ended, whatever the outcome.
    Closed,
}

/// Another procedure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcedureReference {
    /// The partner that keeps it, as it names itself.
    pub partner: Line,
    /// Its type there.
    pub kind: Line,
    /// Its id there.
    pub id: Line,
}

impl Procedure {
    pub(super) fn from_wire(procedure: wire::Procedure) -> Result<Self, ContentError> {
        let status = ProcedureStatus::from_wire(procedure.status)?;
        let milestone_start =
            field::optional_time(procedure.milestone_start_ms, "milestone_start_ms")?;
        let milestone_end = field::optional_time(procedure.milestone_end_ms, "milestone_end_ms")?;
        field::ordered(milestone_start, milestone_end, "milestone_end_ms")?;
        Ok(Self {
            kind: field::line(procedure.r#type, limits::REFERENCE_MAX, "type")?,
            id: field::line(procedure.id, limits::REFERENCE_MAX, "id")?,
            status,
            status_label: Text::required(
                procedure.status_label,
                Shape::Line(limits::TITLE_MAX),
                "status_label",
            )?,
            event: field::time(procedure.event_ms, "event_ms")?,
            notice: Notice::required(procedure.notice)?,
            parent: procedure
                .parent
                .map(ProcedureReference::from_wire)
                .transpose()
                .map_err(|error| error.within("parent"))?,
            milestone_start,
            milestone_end,
            channel: field::optional_line(procedure.channel, limits::REFERENCE_MAX, "channel")?,
        })
    }

    pub(super) fn into_wire(self) -> wire::Procedure {
        wire::Procedure {
            r#type: self.kind.to_string(),
            id: self.id.to_string(),
            status: self.status.to_wire().into(),
            status_label: Some(self.status_label.into_wire()),
            event_ms: self.event.as_ms(),
            notice: Some(self.notice.into_wire()),
            parent: self.parent.map(ProcedureReference::into_wire),
            milestone_start_ms: field::time_to_wire(self.milestone_start),
            milestone_end_ms: field::time_to_wire(self.milestone_end),
            channel: field::line_to_wire(self.channel),
        }
    }
}

impl ProcedureStatus {
    fn from_wire(got: i32) -> Result<Self, ContentError> {
        match wire::ProcedureStatus::try_from(got) {
            Ok(wire::ProcedureStatus::New) => Ok(Self::New),
            Ok(wire::ProcedureStatus::Wip) => Ok(Self::InProgress),
            Ok(wire::ProcedureStatus::Closed) => Ok(Self::Closed),
            Ok(wire::ProcedureStatus::Unspecified) => {
                Err(ContentError::from(Problem::Missing).within("status"))
            }
            Err(_) => Err(ContentError::from(Problem::UnknownValue { got }).within("status")),
        }
    }

    fn to_wire(self) -> wire::ProcedureStatus {
        match self {
            Self::New => wire::ProcedureStatus::New,
            Self::InProgress => wire::ProcedureStatus::Wip,
            Self::Closed => wire::ProcedureStatus::Closed,
        }
    }
}

impl ProcedureReference {
    fn from_wire(reference: wire::ProcedureReference) -> Result<Self, ContentError> {
        let max = limits::REFERENCE_MAX;
        Ok(Self {
            partner: field::line(reference.partner, max, "partner")?,
            kind: field::line(reference.r#type, max, "type")?,
            id: field::line(reference.id, max, "id")?,
        })
    }

    fn into_wire(self) -> wire::ProcedureReference {
        wire::ProcedureReference {
            partner: self.partner.to_string(),
            r#type: self.kind.to_string(),
            id: self.id.to_string(),
        }
    }
}
