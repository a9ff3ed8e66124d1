//! Operations of a middleman on a handshake: pass on, cut, flip a bit, replay, swap directions.

use bytes::Bytes;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::Timestamp;
use pli_protocol::session::{
    DiallerHandshake, DiallerOutput, Nonce, Principal, ServerHandshake, ServerIdentity,
    ServerOutput, Welcome, encode_welcome,
};

use crate::bytes_in::Choices;
use crate::seeds;

/// More than a handshake has; a fuzzer would like to replay for ever.
const STEPS_MAX: usize = 32;

/// Whatever the middleman does, the server believes only the dialler that really holds the key (SES-3), and a
/// machine that failed or finished takes nothing more.
pub fn session(data: &[u8]) {
    let mut choices = Choices::new(data);
    let device = seeds::signing_key();
    let node = SigningKey::from_seed(&[8; 32]);
    let identity = ServerIdentity {
        authority: "social.gouv.fr".parse().expect("a valid authority"),
        key: *node.public(),
    };
    let principal = principal(choices.byte());
    let (mut dialler, hello) =
        DiallerHandshake::start(principal.clone(), &device, identity.clone());
    let mut server = ServerHandshake::new(identity, Nonce::from_random([3; 32]));
    let mut seen = vec![hello];
    let (mut dialler_ended, mut server_ended) = (false, false);
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            return;
        }
        let to_server = choices.byte().is_multiple_of(2);
        let frame = meddle(&mut choices, &seen);
        if to_server {
            let output = server.handle(&frame);
            assert!(
                !server_ended || output.is_err(),
                "a spent server took a frame"
            );
            match output {
                Ok(ServerOutput::Send(answer)) => seen.push(answer),
                Ok(ServerOutput::Authenticated(peer)) => {
                    assert_eq!(peer.key, *device.public());
                    assert_eq!(peer.principal, principal);
                    let welcome = Welcome {
                        server_time: Timestamp::from_ms(1),
                        max_batches_in_flight: 8,
                    };
                    seen.push(encode_welcome(&welcome));
                    server_ended = true;
                }
                Err(refusal) => {
                    let _ = refusal.to_refusal();
                    server_ended = true;
                }
            }
        } else {
            let output = dialler.handle(&frame);
            assert!(
                !dialler_ended || output.is_err(),
                "a spent dialler took a frame"
            );
            match output {
                Ok(DiallerOutput::Send(proof)) => seen.push(proof),
                Ok(DiallerOutput::Welcome(_)) | Err(_) => dialler_ended = true,
            }
        }
    }
}

fn principal(choice: u8) -> Principal {
    match choice % 3 {
        0 => Principal::Device,
        1 => Principal::Service("rdv@interieur.gouv.fr".parse().expect("a valid service")),
        _ => Principal::Node("interieur.gouv.fr".parse().expect("a valid authority")),
    }
}

/// One of the frames that were sent so far, as it is or damaged; or bytes of its own.
fn meddle(choices: &mut Choices<'_>, seen: &[Bytes]) -> Bytes {
    let damage = choices.byte() % 5;
    let frame = seen[choices.below(seen.len())].clone();
    let mut bytes = frame.to_vec();
    match damage {
        0 | 1 => {}
        2 => {
            let at = choices.below(bytes.len());
            bytes[at] ^= 1 << (choices.byte() % 8);
        }
        3 => bytes.truncate(choices.below(bytes.len())),
        _ => bytes = (0..choices.below(64)).map(|_| choices.byte()).collect(),
    }
    bytes.into()
}
