//! Contents as JSON: what `pli service send --file` reads and what `--json` prints.
//!
//! The names are those of `content.proto`. A text is a string (then it is French) or an object of
//! languages; a time is ISO 8601 with an offset; bytes are lower-case hexadecimal. Unknown keys are
//! refused: a misspelt key would otherwise be a sentence that nobody reads.
//!
//! ```json
//! {"notice": {"title": "Bonjour", "body": {"fr": "Bonjour.", "en": "Hello."}}}
//! ```

mod read;
mod write;

pub use read::{ContentJsonError, from_json};
pub use write::{time, to_json};

#[cfg(test)]
mod tests;
