//! The first root of a device: an invitation carries only its SHA-256.

use bytes::Bytes;
use pli_protocol::limits;
use sha2::{Digest, Sha256};

use crate::error::TrustError;
use crate::fetch::{FetchError, Fetcher};
use crate::source::Source;

/// Finds the root whose file has this SHA-256: the newest first, then from 1 upwards, since the
/// root may have been rotated after the invitation was made.
pub async fn fetch_pinned_root(source: &Source, sha256: &[u8; 32]) -> Result<Bytes, TrustError> {
    let fetcher = Fetcher::new(source.clone())?;
    let mut there = false;
    let fits = |bytes: &Bytes| Sha256::digest(bytes).as_slice() == sha256;
    match fetcher
        .fetch("metadata/root.json", limits::TRUST_ROOT_MAX)
        .await
    {
        Ok(root) if fits(&root) => return Ok(root),
        Ok(_) => there = true,
        Err(FetchError::Missing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    for version in 1..=limits::TRUST_ROOT_UPDATES_MAX {
        match fetcher
            .fetch(
                &format!("metadata/{version}.root.json"),
                limits::TRUST_ROOT_MAX,
            )
            .await
        {
            Ok(root) if fits(&root) => return Ok(root),
            // A mirror may begin at a later root.
            Ok(_) => there = true,
            Err(FetchError::Missing { .. }) if version <= GAP_MAX => {}
            Err(FetchError::Missing { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if !there {
        // Nobody lies here: there is no directory at this place.
        let (from, file) = (source.to_string(), "metadata/root.json".to_owned());
        return Err(FetchError::Missing { from, file }.into());
    }
    Err(TrustError::invalid(format!(
        "{source} has no root of that fingerprint"
    )))
}

/// How far up a mirror may begin.
const GAP_MAX: u64 = 64;
