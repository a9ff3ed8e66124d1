//! What people see: plain text, two languages, tables, colours where there is a terminal.
//!
//! Every text that came from somebody else passes [`plain`] on its way to a terminal (case 61).

mod lang;
mod output;
mod plain;
mod when;

pub use lang::Lang;
pub use output::{Colour, Output, table, table_within, width};
pub use plain::{counted, plain, plain_block};
pub use when::when;
