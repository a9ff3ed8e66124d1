//! Keys whose secret half is printed somewhere. Whoever reads the page can sign with them, so
//! outside development no directory, node or service may use one (R9, TRU-3.6).

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::crypto::sign::{KEY_LEN, PublicKey, SigningKey};
use crate::id::{KeyId, from_hex};

/// Whether anyone can look up the secret half of `key`.
#[must_use]
pub fn is_published(key: &PublicKey) -> bool {
    PUBLISHED.contains(&key.id())
}

static PUBLISHED: LazyLock<HashSet<KeyId>> = LazyLock::new(|| {
    let printed = SEEDS
        .iter()
        .map(|(hex, _)| from_hex(hex).expect("the list holds 64 digits each"));
    let repeated = (0..=u8::MAX).map(|byte| [byte; KEY_LEN]);
    let counted = (0..=u8::MAX).map(counting_from);
    printed
        .chain(repeated)
        .chain(counted)
        .map(|seed: [u8; KEY_LEN]| SigningKey::from_seed(&seed).public().id())
        .collect()
});

/// `first, first + 1, …`: the other seed that everybody writes in an example.
fn counting_from(first: u8) -> [u8; KEY_LEN] {
    let mut byte = first;
    [(); KEY_LEN].map(|()| {
        let this = byte;
        byte = byte.wrapping_add(1);
        this
    })
}

/// Seed and where it is printed. Seeds of one repeated byte and counting seeds, which the project's
/// own vectors and tests use, are added by rule.
const SEEDS: &[(&str, &str)] = &[
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "RFC 8032, 7.1, test 1; RFC 8037, A.1",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "RFC 8032, 7.1, test 2",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "RFC 8032, 7.1, test 3",
    ),
    (
        "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5",
        "RFC 8032, 7.1, test 1024",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "RFC 8032, 7.1, test SHA(abc)",
    ),
    (
        "0305334e381af78f141cb666f6199f57bc3495335a256a95bd2a55bf546663f6",
        "RFC 8032, 7.2, Ed25519ctx",
    ),
    (
        "ab9c2853ce297ddab85c993b3ae14bcad39b2c682beabc27d6d4eb20711d6560",
        "RFC 8032, 7.2, Ed25519ctx, last",
    ),
    (
        "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842",
        "RFC 8410, 10.3",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn public(hex: &str) -> PublicKey {
        let bytes: [u8; KEY_LEN] = from_hex(hex).unwrap();
        PublicKey::from_bytes(&bytes).unwrap()
    }

    /// The public halves as the RFCs print them: the list of seeds has no typing error.
    #[test]
    fn r9_the_printed_public_keys_are_found() {
        for hex in [
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292",
            "0f1d1274943b91415889152e893d80e93275a1fc0b65fd71b4b0dda10ad7d772",
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
        ] {
            assert!(is_published(&public(hex)), "{hex}");
        }
    }

    #[test]
    fn r9_seeds_that_everybody_writes_are_found() {
        for seed in [
            [0; 32],
            [7; 32],
            [0xff; 32],
            counting_from(0),
            counting_from(0x80),
        ] {
            assert!(
                is_published(SigningKey::from_seed(&seed).public()),
                "{seed:?}"
            );
        }
        let mut own = [9; 32];
        own[31] = 10;
        assert!(!is_published(SigningKey::from_seed(&own).public()));
    }
}
