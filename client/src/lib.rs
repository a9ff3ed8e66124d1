//! What a service, a device and a federation operator do.
//!
//! | Module | Holds |
//! |---|---|
//! | [`partner`] | what administrations send today, converted to content |

pub mod partner;
