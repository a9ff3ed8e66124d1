//! HPKE base mode (RFC 9180, section 5.1) with KEM X-Wing, HKDF-SHA256, ChaCha20Poly1305, one
//! message per key. The key schedule is written out here; only the KEM and the primitives are crates.

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use hkdf::Hkdf;
use sha2::Sha256;
use x_wing::{Decapsulate as _, Decapsulator as _, EncapsulationKey, KeyExport as _};

/// `spec/registry/suites.toml`, row 1.
pub const SUITE: u32 = 1;
pub const PUBLIC_KEY_LEN: usize = 1_216;
pub const ENCAPSULATED_KEY_LEN: usize = 1_120;
pub const TAG_LEN: usize = 16;

const KEM_X_WING: u16 = 0x647a;
const KDF_HKDF_SHA256: u16 = 0x0001;
const AEAD_CHACHA20_POLY1305: u16 = 0x0003;
const MODE_BASE: u8 = 0;

/// Seals to a public key with the 64 bytes that the KEM draws: (encapsulated key, ciphertext). `None` when the
/// key is not one.
pub fn seal_with(
    public: &[u8],
    randomness: &[u8; 64],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = EncapsulationKey::try_from(public).ok()?;
    let (encapsulated, shared) = key.encapsulate_deterministic(randomness.into());
    let (key, nonce) = schedule(KEM_X_WING, &shared, info);
    let sealed = ChaCha20Poly1305::new(&key.into())
        .encrypt(
            &nonce.into(),
            Payload {
                msg: plaintext,
                aad,
            },
        )
        .expect("a plaintext of at most 32 KiB is under the cipher's limit");
    Some((encapsulated.to_vec(), sealed))
}

/// Opens with the 32-byte seed of a secret key.
pub fn open(
    seed: &[u8; 32],
    encapsulated: &[u8],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let encapsulated: [u8; ENCAPSULATED_KEY_LEN] = encapsulated.try_into().ok()?;
    let shared = x_wing::DecapsulationKey::from(*seed).decapsulate(&encapsulated.into());
    let (key, nonce) = schedule(KEM_X_WING, &shared, info);
    ChaCha20Poly1305::new(&key.into())
        .decrypt(&nonce.into(), Payload { msg: sealed, aad })
        .ok()
}

/// The public key of a seed.
pub fn public_key(seed: &[u8; 32]) -> Vec<u8> {
    x_wing::DecapsulationKey::from(*seed)
        .encapsulation_key()
        .to_bytes()
        .to_vec()
}

/// The KEM takes these bytes as a public key (ENV-6.4).
pub fn is_public_key(bytes: &[u8]) -> bool {
    EncapsulationKey::try_from(bytes).is_ok()
}

/// KeySchedule of RFC 9180, section 5.1, mode base: key and nonce of message 0.
fn schedule(kem: u16, shared: &[u8], info: &[u8]) -> ([u8; 32], [u8; 12]) {
    let mut suite = b"HPKE".to_vec();
    for id in [kem, KDF_HKDF_SHA256, AEAD_CHACHA20_POLY1305] {
        suite.extend_from_slice(&id.to_be_bytes());
    }
    let psk_id_hash = extract(&suite, &[], b"psk_id_hash", &[]).0;
    let info_hash = extract(&suite, &[], b"info_hash", info).0;
    let mut context = vec![MODE_BASE];
    context.extend_from_slice(&psk_id_hash);
    context.extend_from_slice(&info_hash);
    let (_, secret) = extract(&suite, shared, b"secret", &[]);
    (
        expand(&suite, &secret, b"key", &context),
        expand(&suite, &secret, b"base_nonce", &context),
    )
}

/// LabeledExtract.
fn extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> ([u8; 32], Hkdf<Sha256>) {
    let labeled = [b"HPKE-v1", suite, label, ikm].concat();
    let (prk, hkdf) = Hkdf::<Sha256>::extract(Some(salt), &labeled);
    (prk.into(), hkdf)
}

/// LabeledExpand to `N` bytes.
fn expand<const N: usize>(suite: &[u8], prk: &Hkdf<Sha256>, label: &[u8], info: &[u8]) -> [u8; N] {
    let length = u16::try_from(N)
        .expect("keys and nonces are short")
        .to_be_bytes();
    let labeled = [&length, &b"HPKE-v1"[..], suite, label, info].concat();
    let mut out = [0; N];
    prk.expand(&labeled, &mut out)
        .expect("keys and nonces are under HKDF's limit");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";

    fn unhex(text: &str) -> Vec<u8> {
        hex::decode(text).expect("hex")
    }

    #[test]
    fn rfc_9180_a_2_1_key_schedule_and_first_message() {
        // The same KDF and AEAD with RFC 9180's own KEM (0x0020): the schedule knows the KEM by id only.
        let shared = unhex("0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7");
        let (key, nonce) = schedule(0x0020, &shared, &unhex(INFO));
        assert_eq!(
            hex::encode(key),
            "ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91"
        );
        assert_eq!(hex::encode(nonce), "5c4d98150661b848853b547f");
        let sealed = ChaCha20Poly1305::new(&key.into())
            .encrypt(
                &nonce.into(),
                Payload {
                    msg: &unhex("4265617574792069732074727574682c20747275746820626561757479"),
                    aad: &unhex("436f756e742d30"),
                },
            )
            .expect("short");
        assert_eq!(
            hex::encode(sealed),
            "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
        );
    }

    #[test]
    fn sealed_opens_and_its_neighbours_do_not() {
        let seed = [3; 32];
        let public = public_key(&seed);
        assert_eq!(public.len(), PUBLIC_KEY_LEN);
        let (encapsulated, sealed) =
            seal_with(&public, &[9; 64], b"info", b"aad", b"text").expect("key");
        assert_eq!(
            (encapsulated.len(), sealed.len()),
            (ENCAPSULATED_KEY_LEN, 4 + TAG_LEN)
        );
        let open_with = |seed: &[u8; 32], enc: &[u8], info: &[u8], aad: &[u8], sealed: &[u8]| {
            super::open(seed, enc, info, aad, sealed)
        };
        assert_eq!(
            open_with(&seed, &encapsulated, b"info", b"aad", &sealed),
            Some(b"text".to_vec())
        );
        // Case 16: wrong associated data opens as corruption does.
        assert_eq!(
            open_with(&seed, &encapsulated, b"info", b"aae", &sealed),
            None
        );
        assert_eq!(
            open_with(&seed, &encapsulated, b"inf0", b"aad", &sealed),
            None
        );
        assert_eq!(
            open_with(&[4; 32], &encapsulated, b"info", b"aad", &sealed),
            None
        );
        let mut flipped = sealed.clone();
        flipped[0] ^= 1;
        assert_eq!(
            open_with(&seed, &encapsulated, b"info", b"aad", &flipped),
            None
        );
        let mut flipped = encapsulated.clone();
        flipped[1_119] ^= 1;
        assert_eq!(open_with(&seed, &flipped, b"info", b"aad", &sealed), None);
        assert_eq!(
            open_with(&seed, &encapsulated[1..], b"info", b"aad", &sealed),
            None
        );
    }

    #[test]
    fn a_key_that_is_not_one_seals_nothing() {
        assert!(seal_with(&[0; 3], &[9; 64], b"", b"", b"").is_none());
        // ML-KEM's modulus check: a coefficient of 4,095 is over q.
        assert!(seal_with(&[0xff; PUBLIC_KEY_LEN], &[9; 64], b"", b"", b"").is_none());
    }
}
