use bytes::Bytes;
use pli_protocol::id::{AuthorityId, EnvelopeId, ServiceId, Timestamp};
use pli_protocol::limits::ENVELOPE_MAX;

use super::*;
use crate::clock::TestClock;
use crate::store::{self, Lane, OpenOptions, Sender};

const NOW: Timestamp = Timestamp::from_ms(1_790_000_000_000);

fn admitted(number: usize, length: usize) -> Admitted {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let sender: ServiceId = "rdv@interieur.gouv.fr".parse().unwrap();
    let destination: AuthorityId = "social.gouv.fr".parse().unwrap();
    Admitted::of(Entry {
        id: EnvelopeId::new(id),
        bytes: Bytes::from(vec![7; length]),
        accepted_at: NOW,
        expires: NOW.plus_ms(1_000_000),
        sender: Sender::Service(sender),
        place: Place::Queue {
            destination,
            lane: Lane::Bulk,
        },
    })
}

/// All batches wait already when the writing thread begins: the groups are as large as they get.
fn refused_of(batches: usize, of: usize, length: usize) -> Vec<Code> {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("fjall:{}", directory.path().display());
    let options = OpenOptions::new(
        "interieur.gouv.fr".parse().unwrap(),
        pli_protocol::id::KeyId::new([1; 32]),
    );
    let store = store::open(&url, &options).unwrap();
    let (router, _destinations) = Router::new();
    let writer = Writer {
        store,
        router,
        clock: Arc::new(TestClock::at(NOW)),
        metrics: Arc::new(Metrics::new()),
    };
    let (send, waiting) = mpsc::channel(batches);
    let replies: Vec<_> = (0..batches)
        .map(|batch| {
            let (reply, committed) = oneshot::channel();
            let admitted = (0..of).map(|at| admitted(batch * of + at, length));
            let admitted = admitted.collect();
            send.try_send(Batch { admitted, reply }).unwrap();
            committed
        })
        .collect();
    drop(send);
    writer.run(waiting);
    let committed = replies.into_iter().flat_map(|reply| {
        let envelopes = reply.blocking_recv().unwrap().envelopes;
        assert_eq!(envelopes.len(), of);
        envelopes
    });
    committed
        .filter_map(|envelope| envelope.err().map(|refused| refused.code))
        .collect()
}

/// CUS-1.4: no envelope is refused because of those it shares a group with.
#[test]
fn r6_letters_of_any_size_gather_in_groups_that_the_store_takes() {
    for (batches, of, length) in [
        // More than a group's bytes, in batches that do not end where it does.
        (450, 1, ENVELOPE_MAX),
        (300, 2, 32_700),
        // More than a group's envelopes, likewise.
        (150, BATCH_ENVELOPES_MAX - 1, 100),
        (100, BATCH_ENVELOPES_MAX, 100),
    ] {
        assert!(batches * of > GROUP_ENVELOPES_MAX || batches * of * length > GROUP_BYTES_MAX);
        assert_eq!(refused_of(batches, of, length), [], "{batches} x {of}");
    }
}
