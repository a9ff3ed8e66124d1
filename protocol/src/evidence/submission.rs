//! What a log asks a witness for (C2SP tlog-witness, `add-checkpoint`), and what the witness answers.
//!
//! ```text
//! old 20852014
//! PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//! …                                                   at most 63 hashes of the consistency proof
//!
//! <the checkpoint with its signatures>
//! ```
//!
//! In: the exact text of a body. Out: its parts, of which nothing is checked but the form.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Noted, decimal};
use super::note::NoteSignature;
use crate::limits::{NOTE_SIGNATURES_MAX, WITNESS_PROOF_MAX};
use crate::merkle::Hash;

/// A request to cosign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    /// Entries of the checkpoint that the witness cosigned last; 0 if it never did.
    pub old: u64,
    /// That the tree of `old` entries is the beginning of the new one; at most `WITNESS_PROOF_MAX` hashes.
    pub proof: Vec<Hash>,
    /// The new checkpoint.
    pub noted: Noted,
}

impl AddCheckpoint {
    /// The exact body.
    pub fn encode(&self) -> String {
        let hashes = self.proof.iter().map(|hash| STANDARD.encode(hash) + "\n");
        let (old, noted) = (self.old, self.noted.encode());
        format!("old {old}\n{}\n{noted}", hashes.collect::<String>())
    }

    /// Reads a body; the reason is for whoever sent it. EVD-7.2.
    pub fn parse(body: &str) -> Result<Self, &'static str> {
        let (head, note) = body.split_once("\n\n").ok_or("no empty line")?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(decimal).ok_or("the old size")?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == WITNESS_PROOF_MAX {
                return Err("too many hashes in the proof");
            }
            let hash = STANDARD.decode(line).ok();
            let hash = hash.and_then(|bytes| bytes.try_into().ok());
            proof.push(hash.ok_or("a hash of the proof")?);
        }
        let noted = Noted::parse(note).map_err(|_| "the checkpoint")?;
        Ok(Self { old, proof, noted })
    }
}

/// The lines of signature that a witness answers with; `None` if they are none, or too many.
pub fn cosignature_lines(answer: &str) -> Option<Vec<NoteSignature>> {
    let lines = answer.strip_suffix('\n')?.split('\n');
    let lines = lines.take(NOTE_SIGNATURES_MAX + 1);
    let lines: Vec<NoteSignature> = lines
        .map(NoteSignature::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    (lines.len() <= NOTE_SIGNATURES_MAX).then_some(lines)
}

/// The size that a witness names in a conflict: a decimal and LF.
pub fn conflicting_size(answer: &str) -> Option<u64> {
    answer.strip_suffix('\n').and_then(decimal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sign::SigningKey;
    use crate::evidence::Checkpoint;

    fn request(hashes: usize) -> AddCheckpoint {
        let checkpoint = Checkpoint {
            origin: "interieur.gouv.fr/log/1790000000000".parse().unwrap(),
            size: 20_852_163,
            root: [9; 32],
        };
        let note = checkpoint.sign(&SigningKey::from_seed(&[1; 32]));
        AddCheckpoint {
            old: 20_852_014,
            proof: (0..hashes).map(|number| [number as u8; 32]).collect(),
            noted: Noted::parse(&note).unwrap(),
        }
    }

    #[test]
    fn evd_7_2_a_request_reads_back() {
        for hashes in [0, 1, 4, WITNESS_PROOF_MAX] {
            let request = request(hashes);
            assert_eq!(AddCheckpoint::parse(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn evd_7_2_what_is_no_request_is_refused() {
        let good = request(2).encode();
        let one = STANDARD.encode([1; 32]);
        for bad in [
            String::new(),
            good.replace("old ", "Old "),
            good.replace("old 2", "old 02"),
            good.replace("old 2", "old -2"),
            good.replace("old 20852014", "old 9007199254740992"),
            good.replace('\n', "\r\n"),
            good.replacen(&one, &one[1..], 1),
            good.replacen(&one, &STANDARD.encode([1; 31]), 1),
            good.replacen("\n\n", "\n", 1),
            good.trim_end().to_owned(),
            request(WITNESS_PROOF_MAX + 1).encode(),
        ] {
            assert!(AddCheckpoint::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn evd_7_2_answers_are_lines_of_signature_or_a_size() {
        let line = request(0).noted.cosign(
            &"social.gouv.fr".parse().unwrap(),
            crate::id::Timestamp::from_ms(1_800_000_000_000),
            &SigningKey::from_seed(&[2; 32]),
        );
        let text = line.line();
        assert_eq!(cosignature_lines(&text), Some(vec![line.clone()]));
        assert_eq!(cosignature_lines(&text.repeat(2)).unwrap().len(), 2);
        for bad in [
            "",
            "\n",
            text.trim_end(),
            &format!("{text}\n"),
            &text.repeat(NOTE_SIGNATURES_MAX + 1),
        ] {
            assert_eq!(cosignature_lines(bad), None);
        }
        assert_eq!(conflicting_size("17\n"), Some(17));
        for bad in ["17", "017\n", "17\n\n", "-1\n", "x\n", ""] {
            assert_eq!(conflicting_size(bad), None);
        }
    }
}
