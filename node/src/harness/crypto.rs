//! Level 1: keys, trees, signatures, sealing.

use pli_protocol::code::Code;
use pli_protocol::codec;
use pli_protocol::crypto::seal::{self, SealRandomness, SealingPublicKey, SealingSecretKey};
use pli_protocol::crypto::sign::{PublicKey, SigningKey};
use pli_protocol::merkle::{self, Hash, Tree};
use pli_protocol::signed::{self, Signed};
use pli_protocol::{limits, wire};
use serde_json::Value;

use super::fault::Fault;
use super::input::{Input, hexadecimal};
use super::{Output, output};

const BAD_INCLUSION: Fault = Fault::Refused(Code::BadInclusion);

pub(super) fn key_id(input: &Input) -> Result<Output, Fault> {
    let key = PublicKey::from_bytes(&input.bytes("key")?)?;
    Ok(output([("key_id", hexadecimal(key.id().as_bytes()))]))
}

pub(super) fn leaf_hash(input: &Input) -> Result<Output, Fault> {
    let hash = signed::leaf_hash(input.context()?, &input.bytes("payload")?);
    Ok(output([("hash", hexadecimal(&hash))]))
}

pub(super) fn merkle_root(input: &Input) -> Result<Output, Fault> {
    let tree = Tree::new(input.exact_list("leaves")?).ok_or(BAD_INCLUSION)?;
    Ok(output([("root", hexadecimal(&tree.root()))]))
}

pub(super) fn merkle_path(input: &Input) -> Result<Output, Fault> {
    let tree = Tree::new(input.exact_list("leaves")?).ok_or(BAD_INCLUSION)?;
    let path = tree.path(input.index("index")?).ok_or(BAD_INCLUSION)?;
    let path: Vec<Value> = path.iter().map(|hash| hexadecimal(hash)).collect();
    Ok(output([("path", Value::from(path))]))
}

pub(super) fn merkle_verify(input: &Input) -> Result<Output, Fault> {
    let path: Vec<Hash> = input.exact_list("path")?;
    let (index, size) = (input.index("index")?, input.index("tree_size")?);
    let root = merkle::root_from_path(input.exact("leaf")?, index, size, &path);
    if root == Some(input.exact("root")?) {
        Ok(Output::new())
    } else {
        Err(BAD_INCLUSION)
    }
}

pub(super) fn signed_sign(input: &Input) -> Result<Output, Fault> {
    let key = SigningKey::from_seed(&input.exact("seed")?);
    let signed = signed::sign_batch(input.context()?, input.list("payloads")?, &key);
    let signed: Vec<Value> = signed
        .ok_or(BAD_INCLUSION)?
        .iter()
        .map(|signed| hexadecimal(signed))
        .collect();
    Ok(output([("signed", Value::from(signed))]))
}

pub(super) fn signed_decode(input: &Input) -> Result<Output, Fault> {
    Ok(describe(&Signed::decode(
        input.bytes("signed")?,
        input.context()?,
    )?))
}

pub(super) fn signed_verify(input: &Input) -> Result<Output, Fault> {
    let signed = Signed::decode(input.bytes("signed")?, input.context()?)?;
    signed.verify(&PublicKey::from_bytes(&input.bytes("key")?)?)?;
    Ok(describe(&signed))
}

fn describe(signed: &Signed) -> Output {
    let key_ids: Vec<Value> = signed
        .key_ids()
        .map(|id| hexadecimal(id.as_bytes()))
        .collect();
    output([
        ("payload", hexadecimal(signed.payload())),
        ("leaf", hexadecimal(signed.leaf())),
        ("key_ids", Value::from(key_ids)),
    ])
}

pub(super) fn seal_pad(input: &Input) -> Result<Output, Fault> {
    Ok(output([(
        "plaintext",
        hexadecimal(&seal::pad(&input.bytes("content")?)?),
    )]))
}

pub(super) fn seal_unpad(input: &Input) -> Result<Output, Fault> {
    let content = seal::unpad(input.bytes("plaintext")?.to_vec().into())?;
    Ok(output([("content", hexadecimal(&content))]))
}

pub(super) fn seal_public(input: &Input) -> Result<Output, Fault> {
    let key = SealingSecretKey::from_seed(&input.exact("secret")?).public();
    Ok(output([("public_key", hexadecimal(&key.to_bytes()))]))
}

pub(super) fn seal_seal(input: &Input) -> Result<Output, Fault> {
    let key = SealingPublicKey::from_bytes(&input.bytes("public_key")?)?;
    let epoch = u32::try_from(input.number("epoch")?)
        .map_err(|_| Fault::Request("epoch: 32 bits are expected".into()))?;
    let randomness = SealRandomness::new(input.exact("randomness")?);
    let (header, content) = (input.bytes("header")?, input.bytes("content")?);
    let sealed = seal::seal(&key, epoch, &header, &content, randomness)?;
    Ok(output([("sealed", hexadecimal(&codec::encode(&sealed)))]))
}

pub(super) fn seal_open(input: &Input) -> Result<Output, Fault> {
    let key = SealingSecretKey::from_seed(&input.exact("secret")?);
    let sealed: wire::Sealed =
        codec::decode_canonical(&input.bytes("sealed")?, limits::ENVELOPE_MAX)?;
    let content = seal::open(&key, &input.bytes("header")?, &sealed)?;
    Ok(output([("content", hexadecimal(&content))]))
}
