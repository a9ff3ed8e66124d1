//! Invitations, enrolments and grants. Spec: MBX-1, MBX-2, MBX-4.

use super::header::CLASSES;
use super::{
    CLOCK_SKEW_MAX_MS, INTEGER_MAX, Refused, canonical, exact, extensions, names, refuse, time,
    version_1,
};
use crate::codec::schema::{
    ENROLMENT as ENROLMENT_SCHEMA, GRANT as GRANT_SCHEMA, INVITATION as INVITATION_SCHEMA,
};
use crate::crypto::contexts::{ENROLMENT, GRANT, INVITATION};
use crate::crypto::hpke;
use crate::crypto::keys::PublicKey;
use crate::crypto::signed::{Signed, strong};

const INVITATION_ID_LEN: usize = 16;
const INVITATION_LIFETIME_MAX_MS: u64 = 2_592_000_000;
const GRANT_CLASSES_MAX: usize = 4;

/// MBX-1: (id, expires_ms).
pub fn invitation(
    bytes: &[u8],
    key: &PublicKey,
    home: &str,
    now_ms: u64,
) -> Result<(Vec<u8>, u64), Refused> {
    let signed = Signed::decode(INVITATION, bytes)?;
    signed.only_one()?;
    let invitation = canonical(&INVITATION_SCHEMA, &signed.payload)?;
    version_1(&invitation)?;
    let id = exact(&invitation, "id", INVITATION_ID_LEN)?.to_vec();
    let named = names::authority(invitation.text("home"))?;
    let expires_ms = time(&invitation, "expires_ms")?;
    signed.verify(key)?;
    if named != home {
        return refuse("WRONG_HOME", "an invitation of another home");
    }
    if now_ms >= expires_ms {
        return refuse("INVITATION_EXPIRED", "expires_ms");
    }
    if expires_ms - now_ms > INVITATION_LIFETIME_MAX_MS {
        return refuse("LIFETIME_TOO_LONG", "expires_ms");
    }
    Ok((id, expires_ms))
}

/// MBX-2.2: the device key, which is the key of the session.
pub fn enrolment(
    bytes: &[u8],
    home: &str,
    invitation_id: &[u8],
    session: &PublicKey,
    now_ms: u64,
) -> Result<PublicKey, Refused> {
    let signed = Signed::decode(ENROLMENT, bytes)?;
    signed.only_one()?;
    let enrolment = canonical(&ENROLMENT_SCHEMA, &signed.payload)?;
    version_1(&enrolment)?;
    let named_invitation = exact(&enrolment, "invitation_id", INVITATION_ID_LEN)?;
    let named_home = names::authority(enrolment.text("home"))?;
    let key = public_key(exact(&enrolment, "device_key", 32)?)?;
    let at_ms = time(&enrolment, "at_ms")?;
    signed.verify(&key)?;
    if key != *session {
        return refuse(
            "SENDER_MISMATCH",
            "the enrolment of another device than holds the session",
        );
    }
    if named_invitation != invitation_id {
        return refuse("FIELD_INVALID", "invitation_id");
    }
    if named_home != home {
        return refuse("WRONG_HOME", "home");
    }
    if at_ms > now_ms.saturating_add(CLOCK_SKEW_MAX_MS) {
        return refuse("NOT_YET_VALID", "at_ms");
    }
    if now_ms > at_ms.saturating_add(CLOCK_SKEW_MAX_MS) {
        return refuse("EXPIRED", "at_ms");
    }
    Ok(key)
}

fn public_key(bytes: &[u8]) -> Result<PublicKey, Refused> {
    let Ok(bytes) = bytes.try_into() else {
        return refuse("FIELD_INVALID", "key length");
    };
    let key = PublicKey(bytes);
    strong(&key)?;
    Ok(key)
}

/// What a grant says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    pub identity_key: PublicKey,
    pub mailbox: String,
    pub epoch: u64,
    pub issued_ms: u64,
    pub accepts: Vec<&'static str>,
}

/// MBX-4.1, MBX-4.2
pub fn grant(bytes: &[u8], authority: &str, now_ms: u64) -> Result<Grant, Refused> {
    let signed = Signed::decode(GRANT, bytes)?;
    signed.only_one()?;
    let grant = canonical(&GRANT_SCHEMA, &signed.payload)?;
    version_1(&grant)?;
    let identity_key = public_key(exact(&grant, "identity_key", 32)?)?;
    let named = match grant.text("authority") {
        "" => return refuse("FIELD_MISSING", "authority"),
        text => names::authority(text)?,
    };
    let Some(mailbox) = grant.message("mailbox") else {
        return refuse("FIELD_MISSING", "mailbox");
    };
    let mailbox = names::mailbox(mailbox)?;
    let Some(sealing) = grant.message("sealing_key") else {
        return refuse("FIELD_MISSING", "sealing_key");
    };
    if sealing.number("suite") != u64::from(hpke::SUITE) {
        return refuse("UNKNOWN_SUITE", "sealing_key.suite");
    }
    let epoch = sealing.number("epoch");
    if epoch == 0 {
        return refuse("FIELD_MISSING", "sealing_key.epoch");
    }
    if !hpke::is_public_key(sealing.bytes("public_key")) {
        return refuse("FIELD_INVALID", "sealing_key.public_key");
    }
    let issued_ms = time(&grant, "issued_ms")?;
    let accepts = classes(&grant.numbers("accepts"))?;
    extensions::check(&grant)?;
    if named != authority {
        return refuse("NOT_AUTHORITATIVE", "a grant to another authority");
    }
    if issued_ms > now_ms.saturating_add(CLOCK_SKEW_MAX_MS).min(INTEGER_MAX) {
        return refuse("NOT_YET_VALID", "issued_ms");
    }
    signed.verify(&identity_key)?;
    Ok(Grant {
        identity_key,
        mailbox,
        epoch,
        issued_ms,
        accepts,
    })
}

fn classes(numbers: &[u64]) -> Result<Vec<&'static str>, Refused> {
    if numbers.is_empty() {
        return refuse("FIELD_MISSING", "accepts");
    }
    if numbers.len() > GRANT_CLASSES_MAX {
        return refuse("TOO_MANY", "accepts");
    }
    let mut names = Vec::with_capacity(numbers.len());
    for number in numbers {
        let name = usize::try_from(*number)
            .ok()
            .filter(|n| *n > 0)
            .and_then(|n| CLASSES.get(n - 1));
        let Some(name) = name else {
            return refuse("FIELD_INVALID", "accepts");
        };
        names.push(*name);
    }
    if numbers.windows(2).any(|pair| pair[0] >= pair[1]) {
        return refuse("NOT_CANONICAL", "accepts not ascending");
    }
    Ok(names)
}
