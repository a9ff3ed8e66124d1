//! Extensions: how a signed or sealed object grows. Spec: signed.md, section on extensions.
//! None is defined yet, so every critical one is refused (SIG-6.2) and every other one is kept
//! (SIG-6.3).

use crate::code::Code;
use crate::limits;
use crate::wire;

/// Why a list of extensions refuses its object.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExtensionError {
    /// SIG-6.2: its sender says that it must not be ignored (case 5).
    #[error("critical extension {id} is not known")]
    UnknownCritical { id: u32 },
    /// SIG-6.1: one order, so that there is one form.
    #[error("extension {id} after {previous}; identifiers ascend, each once")]
    Order { previous: u32, id: u32 },
    /// R15
    #[error("{got} extensions; at most {}", limits::EXTENSIONS_MAX)]
    TooMany { got: usize },
    /// R15
    #[error(
        "extension {id} has {got} bytes; at most {}",
        limits::EXTENSION_VALUE_MAX
    )]
    TooLong { id: u32, got: usize },
}

impl ExtensionError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownCritical { .. } => Code::UnknownCriticalExtension,
            Self::Order { .. } => Code::NotCanonical,
            Self::TooMany { .. } => Code::TooMany,
            Self::TooLong { .. } => Code::TooLong,
        }
    }
}

/// Whether an object with these extensions may be read.
pub(crate) fn check(extensions: &[wire::Extension]) -> Result<(), ExtensionError> {
    if extensions.len() > limits::EXTENSIONS_MAX {
        return Err(ExtensionError::TooMany {
            got: extensions.len(),
        });
    }
    for (index, extension) in extensions.iter().enumerate() {
        let id = extension.id;
        if extension.value.len() > limits::EXTENSION_VALUE_MAX {
            return Err(ExtensionError::TooLong {
                id,
                got: extension.value.len(),
            });
        }
        if let Some(previous) = index.checked_sub(1).map(|before| extensions[before].id)
            && previous >= id
        {
            return Err(ExtensionError::Order { previous, id });
        }
        if extension.critical {
            return Err(ExtensionError::UnknownCritical { id });
        }
    }
    Ok(())
}
