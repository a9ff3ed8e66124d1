//! Extensions of a signed payload. Spec: SIG-6. None is registered in version 1.

use super::{Refused, refuse};
use crate::codec::Message;

pub const EXTENSIONS_MAX: usize = 8;
pub const EXTENSION_VALUE_MAX: usize = 256;

pub fn check(message: &Message) -> Result<(), Refused> {
    let extensions = message.messages("extensions");
    if extensions.len() > EXTENSIONS_MAX {
        return refuse("TOO_MANY", "extensions");
    }
    let mut last = None;
    for extension in extensions {
        if extension.bytes("value").len() > EXTENSION_VALUE_MAX {
            return refuse("TOO_LONG", "extension value");
        }
        let id = extension.number("id");
        if last.is_some_and(|last| last >= id) {
            return refuse("NOT_CANONICAL", "extensions not ascending");
        }
        last = Some(id);
        if extension.number("critical") != 0 {
            return refuse("UNKNOWN_CRITICAL_EXTENSION", "no extension is registered");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::code_of;
    use super::*;
    use crate::codec::schema::{EXTENSION, HEADER};

    fn with(extensions: impl IntoIterator<Item = (u32, bool, usize)>) -> &'static str {
        let extensions = extensions.into_iter().map(|(id, critical, length)| {
            Message::new(&EXTENSION)
                .with("id", id)
                .with("critical", critical)
                .with("value", vec![1; length])
        });
        code_of(check(
            &Message::new(&HEADER).with_all("extensions", extensions),
        ))
    }

    #[test]
    fn case_05_unknown_ones_are_kept_unless_critical() {
        assert_eq!(with([]), "accepted");
        assert_eq!(with([(1, false, 256), (2, false, 0)]), "accepted");
        assert_eq!(with([(1, true, 0)]), "UNKNOWN_CRITICAL_EXTENSION");
    }

    #[test]
    fn order_count_and_length() {
        assert_eq!(with([(2, false, 0), (1, false, 0)]), "NOT_CANONICAL");
        assert_eq!(with([(2, false, 0), (2, false, 0)]), "NOT_CANONICAL");
        assert_eq!(with((1..=8).map(|id| (id, false, 0))), "accepted");
        assert_eq!(with((1..=9).map(|id| (id, false, 0))), "TOO_MANY");
        assert_eq!(with([(1, false, 257)]), "TOO_LONG");
        assert_eq!(with([(1, false, 0), (1, true, 257)]), "TOO_LONG");
        assert_eq!(with([(1, false, 0), (1, true, 0)]), "NOT_CANONICAL");
        assert_eq!(
            with([(1, true, 0), (1, true, 257)]),
            "UNKNOWN_CRITICAL_EXTENSION"
        );
    }
}
