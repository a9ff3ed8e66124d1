//! Principal: a role with the name that its grammar allows. One type, so that no service name can
//! stand beside the role of a node. Spec: SES-3.5.

use std::fmt;

use super::SessionRefusal;
use crate::id::{AuthorityId, ServiceId};
use crate::{limits, wire};

/// What a dialler is to a node.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Another authority's node.
    Node,
    /// A sender of an authority.
    Service,
    /// A bridge to push services and browsers.
    Gateway,
    /// A citizen's phone or browser.
    Device,
}

impl Role {
    /// How many calls one connection of this role may have at once. SES-5.2.
    pub const fn calls_max(self) -> u32 {
        match self {
            Self::Node => limits::CALLS_NODE_MAX,
            Self::Service => limits::CALLS_SERVICE_MAX,
            Self::Gateway => limits::CALLS_GATEWAY_MAX,
            Self::Device => limits::CALLS_DEVICE_MAX,
        }
    }

    /// As it stands on the wire.
    pub const fn to_wire(self) -> wire::Role {
        match self {
            Self::Node => wire::Role::Node,
            Self::Service => wire::Role::Service,
            Self::Gateway => wire::Role::Gateway,
            Self::Device => wire::Role::Device,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::Service => "service",
            Self::Gateway => "gateway",
            Self::Device => "device",
        })
    }
}

/// Who dials: the role decides what the name means.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Principal {
    /// The node of an authority.
    Node(AuthorityId),
    /// A service of an authority.
    Service(ServiceId),
    /// The gateway of an authority.
    Gateway(AuthorityId),
    /// A device has no name: its key is all that a node needs to find its account.
    Device,
}

impl Principal {
    /// The role alone.
    pub const fn role(&self) -> Role {
        match self {
            Self::Node(_) => Role::Node,
            Self::Service(_) => Role::Service,
            Self::Gateway(_) => Role::Gateway,
            Self::Device => Role::Device,
        }
    }

    /// As it stands in a `SessionProof`; empty for a device.
    pub fn name(&self) -> String {
        match self {
            Self::Node(authority) | Self::Gateway(authority) => authority.to_string(),
            Self::Service(service) => service.to_string(),
            Self::Device => String::new(),
        }
    }

    /// Parses role and name together. SES-3.5.
    pub fn from_wire(role: i32, name: &str) -> Result<Self, SessionRefusal> {
        match wire::Role::try_from(role) {
            Ok(wire::Role::Node) => Ok(Self::Node(AuthorityId::new(name)?)),
            Ok(wire::Role::Service) => Ok(Self::Service(name.parse()?)),
            Ok(wire::Role::Gateway) => Ok(Self::Gateway(AuthorityId::new(name)?)),
            Ok(wire::Role::Device) if name.is_empty() => Ok(Self::Device),
            Ok(wire::Role::Device) => Err(SessionRefusal::NamedDevice),
            Ok(wire::Role::Unspecified) => Err(SessionRefusal::NoRole),
            Err(_) => Err(SessionRefusal::UnknownRole { got: role }),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device => f.write_str("a device"),
            named => write!(f, "{} {}", named.role(), named.name()),
        }
    }
}
