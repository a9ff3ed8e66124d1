//! What the whole-process tests share: letters, receipts, and sessions without the client's good manners.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

pub mod attack;
pub mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pli_client::clock;
use pli_client::device::cursor::Body;
use pli_client::reach;
use pli_client::service::Service;
use pli_client::service::batch::Prepared;
use pli_client::service::draft::{Draft, Handling};
use pli_client::service::track::Tracked;
use pli_protocol::account::Grant;
use pli_protocol::content::{Content, Kind, Notice, Text};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::Step;
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::session::{Principal, ServerIdentity, Welcome};
use pli_protocol::wire::{call, call_reply};
use pli_testbed::citizens::Citizen;
use pli_testbed::federation::Builder;
use pli_testbed::{Federation, sending, session};
use pli_transport::{
    AcceptedConnection, CallStream, Credential, DialledConnection, Dialler, Endpoints, Identity,
    Listener, ListenerConfig, ListenerLimits, Via,
};
use pli_trust::keyfile;

pub const ORIGIN: &str = "interieur.gouv.fr";
pub const HOME: &str = "social.gouv.fr";
pub const SERVICE: &str = "rdv@interieur.gouv.fr";
/// Long enough for a node that is killed and started again, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const POLL: Duration = Duration::from_millis(50);

/// [`ORIGIN`] and [`HOME`].
pub fn two_hosts() -> Builder {
    Federation::builder().two_hosts()
}

/// Where most tests begin: a service of the one node may write to a citizen of the other.
pub async fn scene(plan: Builder) -> (Federation, Service, Citizen, Arc<Grant>) {
    let federation = plan.start().await.expect("nodes");
    let service = federation.service(SERVICE).await.expect("open");
    let mut citizen = federation.citizen("citoyen", HOME).await.expect("enrolled");
    let grant = citizen.grant(&service).await.expect("granted");
    (federation, service, citizen, grant)
}

pub fn authority(name: &str) -> AuthorityId {
    name.parse().expect("an authority")
}

/// A short letter.
pub fn draft(to: &Arc<Grant>, handling: Handling) -> Draft {
    let notice = Notice::new(
        Text::french("Rendez-vous"),
        Text::french("Votre rendez-vous est confirmé."),
    );
    Draft::new(to.clone(), &Content::from(Kind::Notice(notice)), handling).expect("a draft")
}

/// So many short letters under one signature.
pub async fn letters(service: &Service, to: &Arc<Grant>, count: usize) -> Vec<Prepared<()>> {
    let drafts = (0..count).map(|_| ((), draft(to, Handling::new(clock::now()))));
    sending::prepare(service, drafts.collect())
        .await
        .expect("sealed")
}

/// One letter that expires soon.
pub async fn short_lived(service: &Service, to: &Arc<Grant>, lifetime_ms: u64) -> Prepared<()> {
    let mut handling = Handling::new(clock::now());
    handling.expires = handling.created.plus_ms(lifetime_ms);
    let drafts = vec![((), draft(to, handling))];
    sending::prepare(service, drafts)
        .await
        .expect("sealed")
        .remove(0)
}

/// Fetches what is new: the ids of the letters, in the order in which the home numbered them.
pub async fn fetch(citizen: &mut Citizen) -> Vec<EnvelopeId> {
    let new = citizen.device.sync().await.expect("fetched");
    let letters = new
        .into_iter()
        .filter(|entry| matches!(entry.numbered.body, Body::Envelope { .. }));
    letters.filter_map(|entry| entry.numbered.id).collect()
}

/// Fetches until `count` letters came or the time is over; then whatever came.
pub async fn fetch_until(citizen: &mut Citizen, count: usize, within: Duration) -> Vec<EnvelopeId> {
    let began = Instant::now();
    let mut came = Vec::new();
    loop {
        came.extend(fetch(citizen).await);
        if came.len() >= count || began.elapsed() > within {
            return came;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Each exactly once.
pub fn each_once(expected: impl IntoIterator<Item = EnvelopeId>, came: &[EnvelopeId]) {
    let mut times: BTreeMap<EnvelopeId, usize> = BTreeMap::new();
    for id in came {
        *times.entry(*id).or_default() += 1;
    }
    let expected: BTreeMap<EnvelopeId, usize> = expected.into_iter().map(|id| (id, 1)).collect();
    assert_eq!(times, expected);
}

/// What the origin says of a letter. Every receipt must prove what it says (CUS-2).
pub async fn track(service: &Service, id: EnvelopeId) -> Vec<Step> {
    let tracked: Tracked = service
        .track(&[id])
        .await
        .expect("the origin answers")
        .remove(0);
    let checked = tracked.receipts.iter().map(|checked| {
        assert!(checked.verdict.is_ok(), "{:?}", checked.verdict);
        checked.receipt.as_ref().expect("it can be read").step
    });
    checked.collect()
}

/// The steps of a letter once the last is as wanted.
pub async fn steps_when(
    service: &Service,
    id: EnvelopeId,
    wanted: impl Fn(Step) -> bool,
) -> Vec<Step> {
    let began = Instant::now();
    loop {
        let steps = track(service, id).await;
        if steps.last().is_some_and(|last| wanted(*last)) {
            return steps;
        }
        assert!(began.elapsed() < PATIENCE, "{id} stays at {steps:?}");
        tokio::time::sleep(POLL).await;
    }
}

/// The secret key of a node.
pub fn node_key(federation: &Federation, of: &str) -> SigningKey {
    keyfile::load(&federation.node(of).home().join("keys/node.key")).expect("a key")
}

/// A session of one node with another.
pub async fn node_session(
    federation: &Federation,
    service: &Service,
    from: &str,
    to: &str,
) -> DialledConnection {
    let directory = service.directory().current();
    session::as_node(federation, &directory, &authority(from), &authority(to))
        .await
        .expect("reached")
}

/// A session of a service with its own node.
pub async fn service_session(service: &Service) -> DialledConnection {
    let origin = service.origin(PATIENCE);
    let directory = service.directory().current();
    reach::connect(&origin.dialler, &directory, &origin.authority, clock::now())
        .await
        .expect("reached")
}

/// A session of the service with its origin, by this way alone.
pub async fn session_by(federation: &Federation, service: &Service, via: Via) -> DialledConnection {
    let addresses = federation.node(ORIGIN).addresses();
    let endpoints = match via {
        Via::Quic => Endpoints {
            quic: vec![addresses.quic],
            ..Endpoints::default()
        },
        Via::WebSocket => Endpoints {
            websocket: vec![addresses.websocket],
            ..Endpoints::default()
        },
    };
    let authority = authority(ORIGIN);
    let directory = service.directory().current();
    let key = *directory
        .node_keys(&authority, clock::now())
        .expect("listed")
        .next()
        .expect("a key");
    let dialler = Dialler::new(Credential {
        principal: Principal::Service(service.id().clone()),
        key: Arc::clone(service.key()),
    });
    let server = ServerIdentity { authority, key };
    dialler.connect(&server, &endpoints).await.expect("reached")
}

/// In the place of a node that was killed, at its addresses, with this key.
pub fn stand_in(federation: &Federation, of: &str, key: SigningKey) -> Listener {
    let addresses = federation.node(of).addresses();
    Listener::bind(ListenerConfig {
        identity: Identity::new(key).expect("a certificate"),
        authority: authority(of),
        quic: Some(addresses.quic),
        websocket: Some(addresses.websocket),
        http: None,
        limits: ListenerLimits::default(),
    })
    .expect("the node is away")
}

/// Kills a node and takes its place, with its key.
pub async fn take_place(federation: &mut Federation, of: &str) -> Listener {
    federation.node_mut(of).kill().await.expect("killed");
    stand_in(federation, of, node_key(federation, of))
}

/// The next session that comes to a stand-in, believed whoever it is; `None` if it failed.
pub async fn next_session(home: &Listener) -> Option<AcceptedConnection> {
    let pending = home.accept().await.expect("the listener goes on");
    let welcome = Welcome {
        server_time: clock::now(),
        max_batches_in_flight: 4,
    };
    let session = pending.authenticate(|_| async move { Ok(welcome) }).await;
    session.ok()
}

/// What an operator reads in `/status`.
pub async fn status(federation: &Federation, of: &str) -> serde_json::Value {
    let ops = federation.node(of).addresses().ops;
    let answer = pli_testbed::ops::get(ops, "/status").await;
    serde_json::from_str(&answer.expect("answers").body).expect("JSON")
}

pub async fn open(connection: &DialledConnection, kind: call::Kind) -> CallStream {
    session::open(connection, kind).await.expect("opened")
}

/// The next reply; `None` when the call ended.
pub async fn reply(stream: &mut CallStream) -> Option<call_reply::Kind> {
    session::reply(stream).await.expect("not lost")
}

/// One call with one batch of envelopes; the answer to it.
pub async fn hand_over(
    connection: &DialledConnection,
    kind: call::Kind,
    envelopes: Vec<Bytes>,
) -> call_reply::Kind {
    let answer = session::hand_over(connection, kind, envelopes).await;
    answer.expect("an answer")
}

/// The code of each disposition of an acknowledgement; 0 where it is none.
pub fn codes(reply: &call_reply::Kind) -> Vec<u32> {
    session::codes(reply).expect("an acknowledgement is due")
}

/// The code with which a call was refused.
pub fn refusal(reply: &call_reply::Kind) -> u32 {
    let call_reply::Kind::Refusal(refusal) = reply else {
        panic!("a refusal is due: {reply:?}")
    };
    refusal.code
}
