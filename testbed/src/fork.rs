//! A log that is forked: trees that an honest node never had, signed with its real key, and shown to a witness as the
//! C2SP tlog-witness protocol says.

use std::net::SocketAddr;

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::evidence::submission::AddCheckpoint;
use pli_protocol::evidence::tree::empty_root;
use pli_protocol::evidence::{Checkpoint, Noted, Origin};
use pli_protocol::merkle::{Hash, node};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A tree of equal leaves, of any size, and the proofs in it.
#[derive(Clone, Copy, Debug)]
pub struct Fork {
    /// Each leaf.
    pub leaf: Hash,
}

impl Fork {
    /// The root of `size` leaves.
    pub fn root(&self, size: u64) -> Hash {
        match size {
            0 => empty_root(),
            1 => self.leaf,
            _ => {
                let split = size.next_power_of_two() / 2;
                node(&self.root(split), &self.root(size - split))
            }
        }
    }

    // RFC 6962, section 2.1.2: SUBPROOF.
    fn proof(&self, old: u64, new: u64, known: bool) -> Vec<Hash> {
        if old == new {
            return if known { vec![] } else { vec![self.root(new)] };
        }
        let split = new.next_power_of_two() / 2;
        let (mut path, other) = match old <= split {
            true => (self.proof(old, split, known), self.root(new - split)),
            false => (
                self.proof(old - split, new - split, false),
                self.root(split),
            ),
        };
        path.push(other);
        path
    }

    /// What its node asks a witness that knows `old` entries to cosign.
    pub fn request(&self, origin: &Origin, key: &SigningKey, old: u64, new: u64) -> AddCheckpoint {
        let checkpoint = Checkpoint {
            origin: origin.clone(),
            size: new,
            root: self.root(new),
        };
        AddCheckpoint {
            old,
            proof: match old {
                0 => vec![],
                _ => self.proof(old, new, true),
            },
            noted: Noted::parse(&checkpoint.sign(key)).expect("a checkpoint"),
        }
    }
}

/// Asks a witness at its public HTTP address. The status and the body; `None` if it died meanwhile.
pub async fn ask(address: SocketAddr, request: &AddCheckpoint) -> Option<(u16, String)> {
    let body = request.encode();
    let mut stream = TcpStream::connect(address).await.ok()?;
    let head = format!(
        "POST /pli/witness/add-checkpoint HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
