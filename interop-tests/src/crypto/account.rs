//! The pairwise keys of an account. In: the account's secrets and an authority. Out: keys of which two
//! authorities see nothing in common. Spec: MBX-3.

use hkdf::Hkdf;
use sha2::Sha256;

use super::contexts::{PAIRWISE_IDENTITY, PAIRWISE_SEALING};
use super::keys::SecretKey;

/// MBX-3.3
pub fn identity_key(root: &[u8; 32], authority: &str) -> SecretKey {
    SecretKey::from_seed(derive(
        root,
        &[PAIRWISE_IDENTITY.as_bytes(), &[0], authority.as_bytes()],
    ))
}

/// MBX-3.4: the seed of the X-Wing key.
pub fn sealing_seed(epoch_secret: &[u8; 32], authority: &str, epoch: u32) -> [u8; 32] {
    let epoch = epoch.to_be_bytes();
    derive(
        epoch_secret,
        &[
            PAIRWISE_SEALING.as_bytes(),
            &[0],
            authority.as_bytes(),
            &[0],
            &epoch,
        ],
    )
}

fn derive(secret: &[u8; 32], info: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(None, secret)
        .expand_multi_info(info, &mut out)
        .expect("32 bytes are under HKDF's limit");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_authorities_and_two_epochs_have_nothing_in_common() {
        let root = [1; 32];
        let seeds = [
            identity_key(&root, "a.fr").seed(),
            identity_key(&root, "b.fr").seed(),
            sealing_seed(&root, "a.fr", 1),
            sealing_seed(&root, "a.fr", 2),
            sealing_seed(&root, "b.fr", 1),
        ];
        for (at, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..at].contains(seed));
        }
    }

    #[test]
    fn info_is_one_string() {
        // HKDF of the parts is HKDF of the parts joined.
        let joined = [
            &b"pli/1/pairwise-sealing"[..],
            &[0],
            b"a.fr",
            &[0],
            &[0, 0, 0, 7],
        ]
        .concat();
        assert_eq!(
            sealing_seed(&[3; 32], "a.fr", 7),
            derive(&[3; 32], &[&joined])
        );
    }
}
