//! One letter, from a service of one ministry to a citizen whose home is another's node, and back: what the
//! device has is proven to the sender by the home's signature.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pli_client::clock;
use pli_client::device::enrol::{EnrolRequest, enrol};
use pli_client::device::{Device, Standing};
use pli_client::service::Service;
use pli_client::service::draft::{Draft, Handling};
use pli_client::service::track::Tracked;
use pli_protocol::content::{Content, Kind, Notice, Text};
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::envelope::Class;
use pli_protocol::id::EnvelopeId;
use pli_testbed::Federation;

const PATIENCE: Duration = Duration::from_secs(20);

async fn steps_when(service: &Service, id: EnvelopeId, last: Step) -> Vec<Step> {
    let began = Instant::now();
    loop {
        let tracked: Vec<Tracked> = service.track(&[id]).await.expect("the origin answers");
        let steps: Vec<Step> = tracked[0]
            .receipts
            .iter()
            .map(|checked| {
                assert!(checked.verdict.is_ok(), "{:?}", checked.verdict);
                let receipt = checked.receipt.as_ref().expect("it can be read");
                assert_eq!(receipt.envelope, id);
                receipt.step
            })
            .collect();
        if steps.last() == Some(&last) {
            return steps;
        }
        assert!(began.elapsed() < PATIENCE, "{last:?} never came: {steps:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_crosses_the_federation_and_its_receipts_come_back() {
    let federation = Federation::builder()
        .two_hosts()
        .start()
        .await
        .expect("two nodes");
    let service = federation
        .service("rdv@interieur.gouv.fr")
        .await
        .expect("open");

    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("device");
    let invitation = federation
        .invitations("social.gouv.fr", 1)
        .await
        .expect("invited")
        .remove(0);
    let request = EnrolRequest {
        link: invitation.parse().expect("a link"),
        source: federation.repository().display().to_string(),
        dev: false,
    };
    enrol(&home, &request).await.expect("enrolled");
    let mut device = Device::open(&home, Standing::Working).await.expect("open");
    let interior = "interieur.gouv.fr".parse().expect("an authority");
    let grant = device
        .grant(&interior, BTreeSet::from([Class::Message]), false)
        .await
        .expect("granted");

    let (contact, _) = service
        .contacts()
        .add(grant.encoded().clone(), Some("citoyen"), clock::now())
        .expect("pinned");
    let notice = Notice::new(
        Text::french("Rendez-vous"),
        Text::french("Votre rendez-vous est confirmé."),
    );
    let content = Content::from(Kind::Notice(notice));
    let draft =
        Draft::new(contact.grant.clone(), &content, Handling::new(clock::now())).expect("a draft");
    let settled = service.send_one(draft, PATIENCE).await.expect("answered");
    assert_eq!(settled.disposition, Disposition::Accepted);

    let stored = steps_when(&service, settled.id, Step::Stored).await;
    assert_eq!(stored, [Step::Accepted, Step::Stored]);

    let new = device.sync().await.expect("synced");
    assert_eq!(new.len(), 1);
    let shown = device.look(new).await;
    let letter = shown[0]
        .verified()
        .expect("it verifies on the device alone");
    assert_eq!(letter.id(), settled.id);
    assert_eq!(letter.sender().to_string(), "rdv@interieur.gouv.fr");
    assert_eq!(*letter.content().expect("it opens"), content);

    device
        .acknowledge(&[(1, settled.id)])
        .await
        .expect("acknowledged");
    let retrieved = steps_when(&service, settled.id, Step::Retrieved).await;
    assert_eq!(retrieved, [Step::Accepted, Step::Stored, Step::Retrieved]);
}
