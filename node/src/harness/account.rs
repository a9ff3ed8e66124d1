//! What an account signs, and the keys it derives.

use pli_protocol::account::{
    AccountSecrets, Enrolment, FIRST_EPOCH, Invitation, InvitationId, SignedGrant,
};
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use serde_json::Value;

use super::envelope::class_name;
use super::fault::Fault;
use super::input::{Input, hexadecimal};
use super::{Output, output};

/// MBX-3.3, MBX-3.4, in the first epoch.
pub(super) fn keys(input: &Input) -> Result<Output, Fault> {
    let secrets = AccountSecrets::new(input.exact("root")?, input.exact("epoch_secret")?);
    let authority: AuthorityId = input.name("authority")?;
    let sealing = secrets
        .sealing(&authority, FIRST_EPOCH)
        .expect("a new account has its epoch");
    Ok(output([
        (
            "identity_key",
            hexadecimal(secrets.identity(&authority).public().as_bytes()),
        ),
        ("sealing_key", hexadecimal(&sealing.public().to_bytes())),
    ]))
}

pub(super) fn grant_check(input: &Input) -> Result<Output, Fault> {
    let signed = SignedGrant::verify(input.bytes("signed")?, input.time("now_ms")?)?;
    signed.for_authority(&input.name("authority")?)?;
    let grant = signed.grant();
    let accepts: Vec<Value> = grant
        .accepts
        .iter()
        .map(|class| Value::from(class_name(*class)))
        .collect();
    Ok(output([
        ("identity_key", hexadecimal(grant.identity.as_bytes())),
        ("mailbox", Value::from(grant.mailbox.to_string())),
        ("epoch", Value::from(grant.sealing.epoch)),
        ("issued_ms", Value::from(grant.issued.as_ms())),
        ("accepts", Value::from(accepts)),
    ]))
}

pub(super) fn invitation_check(input: &Input) -> Result<Output, Fault> {
    let key = PublicKey::from_bytes(&input.bytes("key")?)?;
    let (signed, home) = (input.bytes("signed")?, input.name("home")?);
    let invitation = Invitation::verify(signed, &home, &[key], input.time("now_ms")?)?;
    Ok(output([
        ("invitation_id", hexadecimal(invitation.id.as_bytes())),
        ("expires_ms", Value::from(invitation.expires.as_ms())),
    ]))
}

pub(super) fn enrolment_check(input: &Input) -> Result<Output, Fault> {
    let invitation = Invitation {
        id: InvitationId::new(input.exact("invitation_id")?),
        home: input.name("home")?,
        // Not looked at: the invitation itself was checked before.
        expires: Timestamp::from_ms(0),
    };
    let session = PublicKey::from_bytes(&input.bytes("session")?)?;
    let (signed, now) = (input.bytes("signed")?, input.time("now_ms")?);
    let enrolment = Enrolment::verify(signed, &invitation, &session, now)?;
    Ok(output([(
        "device_key",
        hexadecimal(enrolment.device.as_bytes()),
    )]))
}
