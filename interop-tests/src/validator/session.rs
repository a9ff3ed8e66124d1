//! The server's side of the handshake. Spec: SES-3.

use super::{Refused, canonical, enumeration, names, refuse};
use crate::codec::Message;
use crate::codec::schema::{DIALLER_HELLO, SERVER_HELLO, SESSION_PROOF};
use crate::crypto::contexts::SESSION;
use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::signed::{SIGNED_OBJECT_MAX, Signed, sign_one, strong};

const VERSIONS_MAX: usize = 16;
const NONCE_LEN: usize = 32;
/// The versions that this suite speaks.
const VERSION: u64 = 1;

pub const ROLES: &[&str] = &["node", "service", "gateway", "device"];

/// SES-3.1: the version chosen.
pub fn hello(bytes: &[u8]) -> Result<u64, Refused> {
    Ok(offer(bytes)?.0)
}

fn offer(bytes: &[u8]) -> Result<(u64, Vec<u64>), Refused> {
    if bytes.len() > SIGNED_OBJECT_MAX {
        return refuse("TOO_LONG", "hello");
    }
    let versions = canonical(&DIALLER_HELLO, bytes)?.numbers("versions");
    if versions.len() > VERSIONS_MAX {
        return refuse("TOO_MANY", "versions");
    }
    if versions.windows(2).any(|pair| pair[0] >= pair[1]) {
        return refuse("FIELD_INVALID", "versions not ascending");
    }
    if versions.contains(&0) {
        return refuse("UNSUPPORTED_VERSION", "version 0 does not exist");
    }
    if versions.contains(&VERSION) {
        Ok((VERSION, versions))
    } else {
        refuse("UNSUPPORTED_VERSION", "none in common")
    }
}

/// What a proof proves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven {
    pub role: &'static str,
    pub name: String,
    pub key: PublicKey,
}

/// SES-3.4, SES-3.5
pub fn proof(
    hello: &[u8],
    nonce: &[u8],
    server_key: &[u8],
    proof: &[u8],
) -> Result<Proven, Refused> {
    let (version, offered) = offer(hello)?;
    let signed = Signed::decode(SESSION, proof)?;
    signed.only_one()?;
    let payload = canonical(&SESSION_PROOF, &signed.payload)?;
    let own_key = own_key(&payload)?;
    signed
        .verify(&own_key)
        .map_err(|refused| match refused.code {
            "UNKNOWN_KEY" => Refused {
                code: "AUTH_FAILED",
                ..refused
            },
            _ => refused,
        })?;
    if payload.number("version") != version || payload.numbers("offered_versions") != offered {
        return refuse(
            "UNSUPPORTED_VERSION",
            "versions are not those of the hellos",
        );
    }
    if payload.bytes("nonce") != nonce {
        return refuse("AUTH_FAILED", "nonce");
    }
    if payload.bytes("server_key") != server_key {
        return refuse("AUTH_FAILED", "server_key");
    }
    let role = enumeration(&payload, "role", ROLES)?;
    let name = payload.text("name").to_owned();
    match role {
        "node" | "gateway" => names::authority(&name).map(drop)?,
        "service" => names::service(&name).map(drop)?,
        _ if name.is_empty() => {}
        _ => return refuse("FIELD_INVALID", "a device has no name"),
    }
    Ok(Proven {
        role,
        name,
        key: own_key,
    })
}

/// The dialler's side of SES-3.3: the proof for a server that it wants.
pub fn answer(
    role: &str,
    name: &str,
    key: &SecretKey,
    wanted: (&str, &[u8]),
    server_hello: &[u8],
) -> Result<Vec<u8>, Refused> {
    let (authority, server_key) = wanted;
    let hello = canonical(&SERVER_HELLO, server_hello)?;
    if hello.number("version") != VERSION {
        return refuse("UNSUPPORTED_VERSION", "not a version that was offered");
    }
    if hello.bytes("nonce").len() != NONCE_LEN {
        return refuse("FIELD_INVALID", "nonce");
    }
    let Ok(named) = <[u8; 32]>::try_from(hello.bytes("server_key")) else {
        return refuse("FIELD_INVALID", "server_key");
    };
    strong(&PublicKey(named))?;
    let named_authority = names::authority(hello.text("authority"))?;
    if named[..] != *server_key {
        return refuse("SERVER_KEY_MISMATCH", "server_key");
    }
    if named_authority != authority {
        return refuse("AUTH_FAILED", "authority");
    }
    let Some(role) = ROLES.iter().position(|known| *known == role) else {
        return refuse("FIELD_INVALID", "role");
    };
    let payload = Message::new(&SESSION_PROOF)
        .with("version", VERSION)
        .with("offered_versions", VERSION)
        .with("nonce", hello.bytes("nonce"))
        .with("server_key", server_key)
        .with("role", role as u64 + 1)
        .with("own_key", key.public().0)
        .with("name", name);
    Ok(sign_one(SESSION, &payload.encode(), key))
}

fn own_key(payload: &Message) -> Result<PublicKey, Refused> {
    let Ok(bytes) = <[u8; 32]>::try_from(payload.bytes("own_key")) else {
        return refuse("FIELD_INVALID", "own_key");
    };
    let key = PublicKey(bytes);
    strong(&key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::super::code_of;
    use super::*;

    fn offering(versions: &[u32]) -> Vec<u8> {
        Message::new(&DIALLER_HELLO)
            .with_all("versions", versions.iter().copied())
            .encode()
    }

    #[test]
    fn case_06_versions() {
        assert_eq!(hello(&offering(&[1])), Ok(1));
        assert_eq!(hello(&offering(&[1, 2, u32::MAX])), Ok(1));
        assert_eq!(code_of(hello(&offering(&[]))), "UNSUPPORTED_VERSION");
        assert_eq!(code_of(hello(&offering(&[2]))), "UNSUPPORTED_VERSION");
        assert_eq!(code_of(hello(&offering(&[0, 1]))), "UNSUPPORTED_VERSION");
        assert_eq!(code_of(hello(&offering(&[2, 1]))), "FIELD_INVALID");
        assert_eq!(code_of(hello(&offering(&[1, 1]))), "FIELD_INVALID");
        assert_eq!(code_of(hello(&offering(&[1, 0]))), "FIELD_INVALID");
        assert_eq!(
            code_of(hello(&offering(&(1..=17).collect::<Vec<_>>()))),
            "TOO_MANY"
        );
    }

    #[test]
    fn a_proof_binds_everything() {
        let key = SecretKey::from_seed([5; 32]);
        let payload = Message::new(&SESSION_PROOF)
            .with("version", 1u32)
            .with("offered_versions", 1u32)
            .with("nonce", [1; 32])
            .with("server_key", [2; 32])
            .with("role", 2u32)
            .with("own_key", key.public().0)
            .with("name", "rdv@a.fr");
        let check = |payload: Message| {
            let signed = sign_one(SESSION, &payload.encode(), &key);
            code_of(proof(&offering(&[1]), &[1; 32], &[2; 32], &signed))
        };
        assert_eq!(check(payload.clone()), "accepted");
        assert_eq!(
            check(payload.clone().replacing("version", 2u32)),
            "UNSUPPORTED_VERSION"
        );
        assert_eq!(
            check(payload.clone().with("offered_versions", 2u32)),
            "UNSUPPORTED_VERSION"
        );
        assert_eq!(
            check(payload.clone().replacing("nonce", [9; 32])),
            "AUTH_FAILED"
        );
        assert_eq!(
            check(payload.clone().replacing("server_key", [9; 32])),
            "AUTH_FAILED"
        );
        assert_eq!(check(payload.clone().without("role")), "FIELD_MISSING");
        assert_eq!(
            check(payload.clone().replacing("role", 5u32)),
            "FIELD_INVALID"
        );
        assert_eq!(
            check(payload.clone().replacing("role", 1u32)),
            "FIELD_INVALID"
        );
        assert_eq!(
            check(payload.clone().replacing("role", 4u32)),
            "FIELD_INVALID"
        );
        let other = SecretKey::from_seed([6; 32]).public().0;
        assert_eq!(
            check(payload.clone().replacing("own_key", other)),
            "AUTH_FAILED"
        );
        assert_eq!(check(payload.replacing("own_key", [0; 32])), "WEAK_KEY");
    }
}
