//! Operations on the two ends of a stream of batches, against a model that is a plain list.

use std::collections::VecDeque;

use pli_protocol::code::Code;
use pli_protocol::custody::ack::{self, Acknowledged, Issuer};
use pli_protocol::custody::pipeline::{Receiving, Sending};
use pli_protocol::custody::{Disposition, Receipt, Step};
use pli_protocol::id::{EnvelopeId, Timestamp};
use pli_protocol::limits::BATCH_ENVELOPES_MAX;

use crate::bytes_in::Choices;
use crate::seeds;

const STEPS_MAX: usize = 64;
/// A batch of the fuzzer is small; the bound itself is one of its choices.
const SIZES: [usize; 5] = [1, 2, 3, BATCH_ENVELOPES_MAX, BATCH_ENVELOPES_MAX + 1];

/// Every envelope is settled once, in order; an acknowledgement that was touched is not believed; each receipt of
/// one that is believed stands alone (CUS-3, CUS-4).
pub fn custody(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut sending = Sending::new(u32::from(choices.byte()));
    let mut receiving = Receiving::default();
    let mut model: VecDeque<Vec<EnvelopeId>> = VecDeque::new();
    let (mut made, mut settled, mut last_seq) = (0_u64, 0_u64, 0_u64);
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        match choices.byte() % 3 {
            0 => {
                let size = SIZES[choices.below(SIZES.len())];
                let batch: Vec<_> = (made..made + size as u64).map(id).collect();
                let room = sending.has_room();
                let sent = sending.send(batch.clone());
                assert_eq!(sent.is_ok(), room && size <= BATCH_ENVELOPES_MAX);
                let Ok(seq) = sent else { continue };
                assert_eq!(seq, last_seq + 1);
                assert_eq!(receiving.receive(seq, size), Ok(()), "both ends agree");
                assert!(
                    receiving.clone().receive(seq, size).is_err(),
                    "no number twice"
                );
                (made, last_seq) = (made + size as u64, seq);
                model.push_back(batch);
            }
            1 => {
                let count = choices.below(model.len()) + 1;
                if model.is_empty() {
                    assert!(sending.is_settled());
                    continue;
                }
                let first = last_seq - model.len() as u64 + 1;
                let last = first + count as u64 - 1;
                let expected: Vec<_> = model.drain(..count).flatten().collect();
                assert_eq!(sending.acknowledged(first, last).as_ref(), Ok(&expected));
                acknowledge(&mut choices, first, last, &expected);
                receiving.acknowledge(last);
                assert_eq!(sending.settle(last), Ok(()));
                settled += expected.len() as u64;
            }
            _ => {
                // An acknowledgement of anything else changes nothing.
                let (first, last) = (u64::from(choices.byte()), u64::from(choices.byte()));
                let oldest = last_seq - model.len() as u64 + 1;
                let fits = first == oldest && last >= first && last <= last_seq;
                assert_eq!(sending.acknowledged(first, last).is_ok(), fits);
            }
        }
    }
    let unsettled: Vec<_> = sending.into_unsettled().collect();
    assert_eq!(unsettled, model.into_iter().flatten().collect::<Vec<_>>());
    assert_eq!(settled + unsettled.len() as u64, made);
}

fn acknowledge(choices: &mut Choices<'_>, first: u64, last: u64, ids: &[EnvelopeId]) {
    const AT: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    let key = seeds::signing_key();
    let node = "social.gouv.fr".parse().expect("a valid authority");
    let issuer = Issuer {
        node,
        step: Step::Stored,
    };
    let dispositions: Vec<_> = ids
        .iter()
        .map(|id| {
            let disposition = match choices.byte() % 3 {
                0 => Disposition::Accepted,
                1 => Disposition::Duplicate { first_at: AT },
                _ => Disposition::Refused(Code::UnknownMailbox),
            };
            (*id, disposition)
        })
        .collect();
    let signed = ack::sign(&issuer, first..=last, AT, &dispositions, &key);
    let Some(signed) = signed else {
        panic!("1 to 4,096 envelopes can be acknowledged")
    };
    let believed = Acknowledged::verify(&signed, &issuer, ids, key.public()).expect("untouched");
    let index = choices.below(ids.len());
    let receipt = Receipt::verify(believed.receipt(index), key.public()).expect("it stands alone");
    assert_eq!(receipt.envelope, ids[index]);

    let mut touched = signed;
    match choices.byte() % 4 {
        0 => touched.at_ms += 1,
        1 => touched.dispositions[index].outcome = 0,
        2 => touched.dispositions[index].code += 1,
        _ => touched.dispositions.truncate(ids.len() - 1),
    }
    // Only a time that no leaf holds may change unseen: that of a batch of duplicates alone.
    let all_duplicates = dispositions
        .iter()
        .all(|(_, what)| matches!(what, Disposition::Duplicate { .. }));
    let unseen = all_duplicates && touched.dispositions.len() == ids.len();
    let verdict = Acknowledged::verify(&touched, &issuer, ids, key.public());
    assert!(
        verdict.is_err() || unseen,
        "a touched acknowledgement was believed"
    );
}

fn id(number: u64) -> EnvelopeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    EnvelopeId::new(bytes)
}
