//! The federation itself: made, started, killed, started again.

use pli_testbed::Federation;

#[tokio::test(flavor = "multi_thread")]
async fn a_federation_starts_serves_and_survives_a_kill() {
    let mut federation = Federation::builder()
        .two_hosts()
        .start()
        .await
        .expect("two nodes");
    let invitations = federation
        .invitations("social.gouv.fr", 3)
        .await
        .expect("invited");
    assert_eq!(invitations.len(), 3);
    assert!(
        invitations[0].starts_with("pli:invite?"),
        "{}",
        invitations[0]
    );
    let service = federation
        .service("rdv@interieur.gouv.fr")
        .await
        .expect("open");
    service
        .check_listed()
        .await
        .expect("the directory lists it");

    let node = federation.node_mut("social.gouv.fr");
    node.kill().await.expect("killed");
    assert!(!node.runs().expect("asked"));
    node.restart().await.expect("ready again");
    let status = node
        .terminate(std::time::Duration::from_secs(30))
        .await
        .expect("it drains");
    assert!(status.success(), "SIGTERM ends with 0, not {status}");
}
