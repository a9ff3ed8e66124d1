//! Every separation string, typed by hand from `spec/registry/contexts.toml`.

pub const ENVELOPE: &str = "pli/1/envelope";
pub const RECEIPT: &str = "pli/1/receipt";
pub const SESSION: &str = "pli/1/session";
pub const INVITATION: &str = "pli/1/invitation";
pub const ENROLMENT: &str = "pli/1/enrolment";
pub const GRANT: &str = "pli/1/grant";
pub const HANDOVER: &str = "pli/1/handover";
/// A leaf of a batch of a node's log.
pub const EVENT: &str = "pli/1/event";
/// HPKE info.
pub const SEAL: &str = "pli/1/seal";

/// HKDF info, before 0x00 and the authority.
pub const PAIRWISE_IDENTITY: &str = "pli/1/pairwise-identity";
/// HKDF info, before 0x00, the authority, 0x00 and the epoch.
pub const PAIRWISE_SEALING: &str = "pli/1/pairwise-sealing";

/// The contexts of signed objects, with the message each one signs.
pub const SIGNATURES: &[(&str, &str)] = &[
    (ENVELOPE, "Envelope"),
    (RECEIPT, "Receipt"),
    (SESSION, "SessionProof"),
    (INVITATION, "Invitation"),
    (ENROLMENT, "Enrolment"),
    (GRANT, "Grant"),
    (HANDOVER, "HandoverReceipt"),
    (EVENT, "Event"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_says_the_same() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/registry/contexts.toml");
        let registry: toml::Table =
            toml::from_str(&std::fs::read_to_string(path).expect("the registry")).expect("TOML");
        let rows = registry["context"].as_array().expect("rows");
        let of_kind = |kind: &str| -> Vec<(String, String)> {
            rows.iter()
                .filter(|row| row["kind"].as_str() == Some(kind))
                .map(|row| {
                    let payload = row
                        .get("payload")
                        .and_then(|v| v.as_str())
                        .unwrap_or_default();
                    (
                        row["string"].as_str().expect("string").to_owned(),
                        payload.to_owned(),
                    )
                })
                .collect()
        };
        let ours: Vec<(String, String)> = SIGNATURES
            .iter()
            .map(|(context, payload)| ((*context).into(), (*payload).into()))
            .collect();
        assert_eq!(of_kind("signature"), ours);
        assert_eq!(of_kind("seal"), [(SEAL.to_owned(), String::new())]);
    }
}
