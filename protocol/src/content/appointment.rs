//! Appointment: where and when a citizen is expected.
//! Spec: envelope.md, section 7.

use super::error::{ContentError, Problem};
use super::field;
use super::notice::Notice;
use super::text::{Line, Shape, Text};
use crate::id::Timestamp;
use crate::limits;
use crate::wire;

/// The latest state of one appointment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Appointment {
    /// Which one, in the sender's own numbering.
    pub id: Line,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// When it starts.
    pub starts: Timestamp,
    /// When it ends, if that is known; not before its start.
    pub ends: Option<Timestamp>,
    /// Where; absent for one by telephone.
    pub place: Option<Text>,
    /// What to show.
    pub notice: Notice,
}

/// Where an appointment stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AppointmentStatus {
    /// To come.
    Planned,
    /// To come, at another time or place than before.
    Moved,
    /// Will not be.
    Cancelled,
    /// Has been.
    Past,
}

impl Appointment {
    pub(super) fn from_wire(appointment: wire::Appointment) -> Result<Self, ContentError> {
        let starts = field::time(appointment.starts_ms, "starts_ms")?;
        let ends = field::optional_time(appointment.ends_ms, "ends_ms")?;
        field::ordered(Some(starts), ends, "ends_ms")?;
        Ok(Self {
            id: field::line(appointment.id, limits::REFERENCE_MAX, "id")?,
            status: AppointmentStatus::from_wire(appointment.status)?,
            starts,
            ends,
            place: Text::optional(
                appointment.place,
                Shape::Paragraphs(limits::TITLE_MAX),
                "place",
            )?,
            notice: Notice::required(appointment.notice)?,
        })
    }

    pub(super) fn into_wire(self) -> wire::Appointment {
        wire::Appointment {
            id: self.id.to_string(),
            status: self.status.to_wire().into(),
            starts_ms: self.starts.as_ms(),
            ends_ms: field::time_to_wire(self.ends),
            place: self.place.map(Text::into_wire),
            notice: Some(self.notice.into_wire()),
        }
    }
}

impl AppointmentStatus {
    fn from_wire(got: i32) -> Result<Self, ContentError> {
        match wire::AppointmentStatus::try_from(got) {
            Ok(wire::AppointmentStatus::Planned) => Ok(Self::Planned),
            Ok(wire::AppointmentStatus::Moved) => Ok(Self::Moved),
            Ok(wire::AppointmentStatus::Cancelled) => Ok(Self::Cancelled),
            Ok(wire::AppointmentStatus::Past) => Ok(Self::Past),
            Ok(wire::AppointmentStatus::Unspecified) => {
                Err(ContentError::from(Problem::Missing).within("status"))
            }
            Err(_) => Err(ContentError::from(Problem::UnknownValue { got }).within("status")),
        }
    }

    fn to_wire(self) -> wire::AppointmentStatus {
        match self {
            Self::Planned => wire::AppointmentStatus::Planned,
            Self::Moved => wire::AppointmentStatus::Moved,
            Self::Cancelled => wire::AppointmentStatus::Cancelled,
            Self::Past => wire::AppointmentStatus::Past,
        }
    }
}
