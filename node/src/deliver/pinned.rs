//! What this node dialled is left when the key that was pinned is not in force any more (TRU-4.6): revoked, past its
//! end, or its authority suspended or gone.
//!
//! Whoever uses a connection ends in order when it hears of that by itself; the guard of the connection gives it a
//! moment, then cuts it, whatever is under way.

use std::sync::Arc;
use std::time::Duration;

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::trust::{Directory, KeyOwner};
use pli_transport::DialledConnection;

use crate::clock::Clock;
use crate::federation::DirectoryWatch;

/// For those who use the connection, to end in order.
const GRACE: Duration = Duration::from_millis(300);
/// A key may end without a new directory.
pub const KEYS_LOOKED_AT: Duration = Duration::from_secs(5);

/// Whether a newer directory, or the time, has taken from `key` what it opened a session by. Past the directory's own
/// expiry nobody has lost anything: each letter is judged.
pub fn check(
    directory: &Directory,
    owner: &KeyOwner,
    key: &PublicKey,
    now: Timestamp,
) -> Result<(), Code> {
    match directory.current_key(owner, &key.id(), now) {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.code() == Code::DirectoryExpired => Ok(()),
        Err(refusal) => Err(refusal.code()),
    }
}

/// Closes the connection once its key is not in force; ends with the connection.
pub fn guard(
    connection: DialledConnection,
    authority: &AuthorityId,
    mut directory: DirectoryWatch,
    clock: Arc<dyn Clock>,
) {
    let owner = KeyOwner::node(authority.clone());
    let key = connection.server().key;
    tokio::spawn(async move {
        let code = loop {
            if let Err(code) = check(&directory.current(), &owner, &key, clock.now()) {
                break code;
            }
            tokio::select! {
                _ = connection.closed() => return,
                newer = directory.changed() => if newer.is_none() { return },
                () = tokio::time::sleep(KEYS_LOOKED_AT) => {}
            }
        };
        if tokio::time::timeout(GRACE, connection.closed())
            .await
            .is_err()
        {
            tracing::info!(authority = %owner.authority, %code, "session cut");
            connection.close(Some(code), code.name());
        }
    });
}
