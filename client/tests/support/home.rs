//! A citizen's device, and in place of its home pages that a test makes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pli_client::clock;
use pli_client::device::enrol::{EnrolRequest, enrol};
use pli_client::device::inbox::InboxError;
use pli_client::device::{Device, Shown, Standing};
use pli_client::service::Service;
use pli_client::service::draft::{Draft, Handling, Randomness};
use pli_protocol::account::{Invitation, InvitationId, InvitationLink};
use pli_protocol::content::{Kind, Notice, Text};
use pli_protocol::envelope::Class;
use pli_protocol::id::EnvelopeId;
use pli_protocol::wire;
use pli_protocol::wire::call::Kind as Call;
use pli_protocol::wire::call_reply::Kind as Reply;
use sha2::{Digest, Sha256};

use super::{Federation, Script, reply, script};

/// An invitation by the scripted node.
pub(crate) fn invitation(federation: &Federation) -> InvitationLink {
    let root =
        std::fs::read(federation.path("federation/repository/metadata/1.root.json")).unwrap();
    let invitation = Invitation {
        id: InvitationId::new([5; 16]),
        home: federation.authority(),
        expires: clock::now().plus_ms(60_000),
    };
    InvitationLink {
        home: federation.authority(),
        root_sha256: Sha256::digest(&root).into(),
        invitation: invitation.sign(&federation.node_key()),
    }
}

/// A citizen of this home, enrolled and with a grant to its authority, by the scripted node.
pub(crate) async fn device(federation: &Federation) -> (PathBuf, Bytes) {
    let link = invitation(federation);
    let home = federation.path("device");
    let request = EnrolRequest {
        link,
        source: federation.repository(),
        dev: false,
    };
    enrol(&home, &request).await.unwrap();
    let mut device = Device::open(&home, Standing::Working).await.unwrap();
    let accepts = BTreeSet::from([Class::Message]);
    let grant = device
        .grant(&federation.authority(), accepts, false)
        .await
        .unwrap();
    (home, grant.encoded().clone())
}

/// Answers a device's calls honestly, but `Sync` as `sync` does.
pub(crate) fn page_home(
    sync: impl Fn(wire::Sync) -> Vec<wire::SyncPage> + Send + Sync + 'static,
) -> Script {
    let sync = Arc::new(sync);
    script(move |_, call, mut stream| {
        let sync = Arc::clone(&sync);
        async move {
            match call {
                Call::Enrol(_) => {
                    let account_id = Bytes::from(vec![9; pli_protocol::limits::ACCOUNT_ID_LEN]);
                    reply(&mut stream, Reply::Enrolled(wire::Enrolled { account_id })).await;
                }
                Call::Sync(asked) => {
                    for page in sync(asked) {
                        reply(&mut stream, Reply::Page(page)).await;
                    }
                }
                _ => reply(&mut stream, Reply::Done(wire::Done {})).await,
            }
            let _ = stream.send.finish().await;
            stream.send.taken().await;
        }
    })
}

/// `count` letters to the device's own mailbox, sealed and signed by the real service.
pub(crate) async fn letters(
    federation: &Federation,
    grant: Bytes,
    count: usize,
) -> Vec<(EnvelopeId, Bytes)> {
    let service = Service::open(&federation.path("service")).await.unwrap();
    let (contact, _) = service
        .contacts()
        .add(grant, Some("citoyen"), clock::now())
        .unwrap();
    let drafts = (0..count).map(|n| ((), draft(&contact.grant, n))).collect();
    let prepared = service
        .sealer(Randomness::Fresh)
        .batch(drafts)
        .await
        .unwrap();
    prepared
        .into_iter()
        .map(|letter| (letter.id, letter.envelope))
        .collect()
}

pub(crate) fn draft(to: &Arc<pli_protocol::account::Grant>, n: usize) -> Draft {
    let notice = Notice::new(Text::french(format!("Lettre {n}")), Text::french("Bonjour"));
    Draft::new(
        Arc::clone(to),
        &Kind::Notice(notice).into(),
        Handling::new(clock::now()),
    )
    .unwrap()
}

pub(crate) fn item(seq: u64, letter: &(EnvelopeId, Bytes)) -> wire::SyncItem {
    wire::SyncItem {
        seq,
        stored_ms: clock::now().as_ms(),
        envelope: letter.1.clone(),
        absence: 0,
        envelope_id: letter.0.as_bytes().to_vec().into(),
    }
}

/// The pages that the home gives; set once the letters exist.
pub(crate) type Pages = Arc<Mutex<Vec<wire::SyncPage>>>;

pub(crate) async fn enrolled(
    federation: &Federation,
    count: usize,
) -> (Device, Vec<(EnvelopeId, Bytes)>, Pages) {
    let pages: Pages = Arc::default();
    let given = Arc::clone(&pages);
    federation
        .node(page_home(move |_| given.lock().unwrap().clone()))
        .await;
    let (folder, grant) = device(federation).await;
    let letters = letters(federation, grant, count).await;
    (
        Device::open(&folder, Standing::Working).await.unwrap(),
        letters,
        pages,
    )
}

/// The whole inbox, as it is paged through.
pub(crate) async fn all(device: &Device) -> (Vec<Shown>, Vec<InboxError>) {
    let (mut shown, mut errors) = (Vec::new(), Vec::new());
    let mut pages = device.look_through().await;
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => shown.extend(page),
            Err(error) => errors.push(error),
        }
    }
    (shown, errors)
}
