//! The `section!` macro: one declaration of a TOML table gives the struct, its defaults and the
//! text of the example, so that the three cannot drift apart.
//!
//! In: doc comments and, for each key, a TOML value as text. Out: a `serde` struct that refuses
//! unknown keys, a `Default`, and [`Section::KEYS`] for `pli-node --print-example-config`.

use serde::de::DeserializeOwned;

/// A table of the configuration as the example shows it.
pub(super) trait Section {
    /// `""` for the keys above the first table.
    const TABLE: &'static str;
    /// Its doc comment, line by line.
    const DOC: &'static [&'static str];
    /// Its keys, in the order of declaration.
    const KEYS: &'static [Key];
}

/// A key of a table as the example shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// As written in the file.
    pub(super) name: &'static str,
    /// Its doc comment, line by line.
    pub(super) doc: &'static [&'static str],
    /// What a missing key means.
    pub(super) presence: Presence,
    /// The default, or an example of what is required, as TOML.
    pub(super) value: &'static str,
}

/// What a missing key means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Presence {
    /// The file is refused.
    Required,
    /// The value shown is used.
    Default,
}

/// Reads the default of one key. The texts are constants of this crate and a test reads them all.
pub(super) fn value_of<T: DeserializeOwned>(text: &str) -> T {
    #[derive(serde::Deserialize)]
    struct Holder<T> {
        value: T,
    }
    let holder: Holder<T> =
        toml::from_str(&format!("value = {text}")).expect("the default of a key is a valid value");
    holder.value
}

/// Declares a table. A key is `required` (its type is then an `Option`) or `default`.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $table:literal => $vis:vis $name:ident {
            $(
                $(#[doc = $key_doc:literal])*
                $key:ident: $type:ty = $presence:ident $value:literal;
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $vis struct $name {
            $( $(#[doc = $key_doc])* $vis $key: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $key: section!(@default $presence $value), )* }
            }
        }

        impl $crate::config::section::Section for $name {
            const TABLE: &'static str = $table;
            const DOC: &'static [&'static str] = &[$($doc),*];
            const KEYS: &'static [$crate::config::section::Key] = &[
                $( $crate::config::section::Key {
                    name: stringify!($key),
                    doc: &[$($key_doc),*],
                    presence: section!(@presence $presence),
                    value: $value,
                }, )*
            ];
        }
    };
    (@default default $value:literal) => { $crate::config::section::value_of($value) };
    (@default required $value:literal) => { None };
    (@presence default) => { $crate::config::section::Presence::Default };
    (@presence required) => { $crate::config::section::Presence::Required };
}
pub(crate) use section;
