//! The cryptography of Pli, behind types that cannot be confused (SIG-4, ENV-6).

pub mod contexts;
pub mod seal;
pub mod sign;
