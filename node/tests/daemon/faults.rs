//! A fault inside a node that serves: the whole node, but for one call of its store that panics when it is told to.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pli_node::store::{Between, StoreError, Through};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::wire::{self, call, call_reply};
use pli_transport::{CallStream, DialledConnection, RecvError, Via};

use crate::inside::{self, Inside, answer, until};
use crate::site::Site;

/// Questions for a device's account: how many panic before the next is answered, and how many were asked.
#[derive(Clone, Debug, Default)]
struct Faulty {
    panics: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Between for Faulty {
    fn before(&self, operation: &'static str, _asked: &dyn Debug) -> Result<(), StoreError> {
        if operation == "account_of_device" {
            let one_less = |left: usize| left.checked_sub(1);
            let fault = self
                .panics
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
            self.asked.fetch_add(1, Ordering::SeqCst);
            assert!(fault.is_err(), "the fault of this test");
        }
        Ok(())
    }
}

async fn asked(connection: &DialledConnection) -> CallStream {
    inside::asked(connection, call::Kind::Sync(wire::Sync::default())).await
}

/// The call was served to its end.
async fn is_served(connection: &DialledConnection) {
    let reply = answer(&mut asked(connection).await).await.unwrap();
    assert!(matches!(reply, call_reply::Kind::Page(_)), "{reply:?}");
}

/// SES-7.4
#[tokio::test(flavor = "multi_thread")]
async fn case_56_a_panic_in_a_handler_ends_its_own_stream_and_is_counted() {
    let site = tokio::task::spawn_blocking(Site::new).await.unwrap();
    let faulty = Faulty::default();
    let [other, unlucky] = [0x71, 0x72].map(|seed| SigningKey::from_seed(&[seed; 32]));
    let node = Inside::start(&site.at("node.toml"), |store| {
        // An account each, or the node would ask for them again and end their sessions after a while.
        inside::enrol(&*store, other.public(), 1);
        inside::enrol(&*store, unlucky.public(), 2);
        Through::over(store, faulty.clone())
    })
    .await;
    let session = async |key: &SigningKey, via| {
        let before = faulty.asked.load(Ordering::SeqCst);
        let connection = node.device(&site, key.clone(), via).await;
        // The session itself asks once; the fault is not meant for that.
        until("the session's own question", async || {
            (faulty.asked.load(Ordering::SeqCst) > before).then_some(())
        })
        .await;
        connection
    };
    let other = session(&other, Via::Quic).await;
    for (via, so_far) in [(Via::Quic, 1), (Via::WebSocket, 2)] {
        let connection = session(&unlucky, via).await;
        is_served(&connection).await;
        faulty.panics.store(1, Ordering::SeqCst);
        let mut stream = asked(&connection).await;
        let ended = answer(&mut stream).await.unwrap_err();
        assert!(!matches!(ended, RecvError::Lost(_)), "{via}: {ended}");
        is_served(&connection).await;
        is_served(&other).await;
        // Counted by the session, a moment after the stream has ended.
        let counted = format!("pli_session_panics_total {so_far}");
        until(&counted, async || node.counts(&counted).await.then_some(())).await;
    }
    node.stop().await;
}
