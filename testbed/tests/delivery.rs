//! A letter from a service of one authority to a citizen at another's node, and back by its receipts.

use std::time::Duration;

use pli_client::clock;
use pli_client::service::draft::{Draft, Handling};
use pli_protocol::content::{Content, Kind, Notice, Text};
use pli_protocol::custody::{Disposition, Step};
use pli_testbed::Federation;
use pli_testbed::sending::{prepare, submit_all};

const SOON: Duration = Duration::from_secs(20);

fn notice(title: &str) -> Content {
    Content::from(Kind::Notice(Notice::new(
        Text::french(title),
        Text::french("Bonjour"),
    )))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_crosses_the_federation_and_each_hop_leaves_a_receipt() {
    let federation = Federation::builder()
        .two_hosts()
        .start()
        .await
        .expect("two nodes");
    let service = federation
        .service("rdv@interieur.gouv.fr")
        .await
        .expect("open");
    let mut angela = federation
        .citizen("angela", "social.gouv.fr")
        .await
        .expect("enrolled");
    let grant = angela.grant(&service).await.expect("granted");
    let draft = Draft::new(
        grant,
        &notice("Votre rendez-vous"),
        Handling::new(clock::now()),
    )
    .expect("fits");
    let letters = prepare(&service, vec![((), draft)]).await.expect("sealed");
    let id = letters[0].id;
    let settled = submit_all(&service, letters).await.expect("submitted");
    assert_eq!(settled[0].disposition, Disposition::Accepted);

    let shown = angela.receive_at_least(1, SOON).await.expect("delivered");
    let letter = shown[0].verified().expect("verified");
    assert_eq!(letter.id(), id);
    assert_eq!(letter.sender(), service.id());
    let content = letter.content().expect("readable");
    assert_eq!(content, &notice("Votre rendez-vous"));

    // Accepted by the origin, stored by the home, retrieved by the device: each signed, each checked.
    let mut steps = Vec::new();
    for _ in 0..100 {
        let tracked = service.track(&[id]).await.expect("tracked");
        assert!(
            tracked[0]
                .receipts
                .iter()
                .all(|checked| checked.verdict.is_ok()),
            "{tracked:?}"
        );
        steps = tracked[0]
            .receipts
            .iter()
            .filter_map(|c| c.receipt.as_ref())
            .map(|r| r.step)
            .collect();
        if steps.contains(&Step::Retrieved) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(steps, [Step::Accepted, Step::Stored, Step::Retrieved]);
}
