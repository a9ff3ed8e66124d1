/// Generated.
#[allow(missing_docs, unreachable_pub)]
pub mod wire { include!(concat!(env!("OUT_DIR"), "/pli.v1.rs")); }
