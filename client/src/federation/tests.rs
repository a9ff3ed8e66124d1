//! The whole ceremony by the command line's own words, read back as a node reads it.

use std::path::Path;

use clap::Parser;
use pli_protocol::id::Timestamp;
use pli_protocol::trust::Environment;
use pli_trust::{Source, TrustConfig, TrustStore};

use super::{Failure, FederationCommand, Report};
use crate::authority::{self, AuthorityCommand};

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
/// What is listed and ended at once was valid for a second.
const SECOND_AFTER: Timestamp = Timestamp::from_ms(NOW.as_ms() + 1_000);

#[derive(Debug, Parser)]
enum Line {
    #[command(subcommand)]
    Federation(FederationCommand),
    #[command(subcommand)]
    Authority(AuthorityCommand),
}

/// Runs one line in `folder`: every relative path in it is given as `@/path`.
async fn pli(folder: &Path, line: &str) -> Result<Report, Failure> {
    let line = line.replace("@/", &format!("{}/", folder.display()));
    let words = std::iter::once("pli").chain(line.split_whitespace());
    match Line::try_parse_from(words).unwrap() {
        Line::Federation(command) => super::run(command, NOW).await,
        Line::Authority(command) => authority::run(command, NOW),
    }
}

async fn publish(folder: &Path, more: &str) -> Report {
    let line = format!("federation publish --dir @/federation --key @/keys/online {more}");
    pli(folder, &line).await.unwrap()
}

async fn federation_with_interior(folder: &Path) {
    for line in [
        "federation init --dir @/federation --keys @/keys",
        "authority init interieur.gouv.fr --dir @/interior --keys @/interior-keys --name-fr Intérieur --name-en Interior --quic 127.0.0.1:7400",
        "authority add-service rdv --dir @/interior --service-key @/interior-keys/rdv.key --name-fr Rendez-vous --name-en Appointments --link-host www.interieur.gouv.fr",
        "authority publish --dir @/interior --key @/interior-keys/role.key",
        "federation add-authority @/interior/handover --dir @/federation --host --key @/keys/offline/targets-1.key --key @/keys/offline/targets-3.key",
    ] {
        pli(folder, line)
            .await
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

async fn node(folder: &Path) -> TrustStore {
    let config = TrustConfig {
        root: std::fs::read(folder.join("federation/repository/metadata/1.root.json"))
            .unwrap()
            .into(),
        sources: vec![Source::Directory(folder.join("federation/repository"))],
        dir: folder.join("node"),
        environment: Environment::Production,
    };
    TrustStore::open(config, NOW).await.unwrap()
}

#[tokio::test]
async fn the_ceremony_by_commands_gives_a_directory_that_a_node_loads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    federation_with_interior(folder).await;
    let published = publish(folder, "").await;
    assert_eq!(published.get("authorities").as_deref(), Some("1"));
    assert_eq!(published.get("services").as_deref(), Some("1"));
    let node = node(folder).await;
    let interior = "interieur.gouv.fr".parse().unwrap();
    assert!(node.directory().home(&interior, NOW).is_ok());

    // Revoke with a replacement, and suspend; both arrive.
    let revoked = pli(
        folder,
        "authority revoke --dir @/interior --service rdv --new-key @/interior-keys/rdv-2.key",
    )
    .await
    .unwrap();
    pli(
        folder,
        "authority publish --dir @/interior --key @/interior-keys/role.key",
    )
    .await
    .unwrap();
    publish(folder, "--from @/interior/handover").await;
    let directory = node.refresh(NOW).await.unwrap().directory;
    let rdv = "rdv@interieur.gouv.fr".parse().unwrap();
    let key = |text: &str| {
        text.parse::<pli_protocol::crypto::sign::PublicKey>()
            .unwrap()
            .id()
    };
    assert!(
        directory
            .sender_key(&rdv, &key(&revoked.get("revoked").unwrap()), SECOND_AFTER)
            .is_err()
    );
    assert!(
        directory
            .sender_key(&rdv, &key(&revoked.get("replacement").unwrap()), NOW)
            .is_ok()
    );
    let targets = "--key @/keys/offline/targets-1.key --key @/keys/offline/targets-2.key";
    pli(
        folder,
        &format!("federation suspend interieur.gouv.fr --dir @/federation {targets}"),
    )
    .await
    .unwrap();
    publish(folder, "").await;
    let directory = node.refresh(NOW).await.unwrap().directory;
    assert!(directory.active(&interior, NOW).is_err());

    // New online keys by a rotated root.
    let rotate = "federation rotate-root --dir @/federation --timestamp @/keys/new/timestamp.key --snapshot @/keys/new/snapshot.key --key @/keys/offline/root-1.key --key @/keys/offline/root-2.key";
    assert_eq!(
        pli(folder, rotate)
            .await
            .unwrap()
            .get("root_version")
            .as_deref(),
        Some("2")
    );
    assert!(
        pli(
            folder,
            "federation publish --dir @/federation --key @/keys/online"
        )
        .await
        .is_err()
    );
    pli(
        folder,
        "federation publish --dir @/federation --key @/keys/new",
    )
    .await
    .unwrap();
    assert_eq!(
        node.refresh(NOW).await.unwrap().directory.versions().root,
        2
    );
    let shown = pli(folder, "federation show --dir @/federation")
        .await
        .unwrap();
    assert_eq!(shown.get("root_version").as_deref(), Some("2"));
}

#[tokio::test]
async fn tru_6_1_too_few_keys_are_counted_out_loud() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    federation_with_interior(folder).await;
    let one = "federation grant interieur.gouv.fr --dir @/federation --lookup --key @/keys/offline/targets-1.key";
    let error = pli(folder, one).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "targets needs 2 of its 3 keys and got 1: give 1 more with --key"
    );
    let again = pli(folder, "federation init --dir @/federation --keys @/other")
        .await
        .unwrap_err();
    assert!(
        again.to_string().ends_with("holds a federation already"),
        "{again}"
    );
    assert!(
        !folder.join("other").exists(),
        "no key was made for nothing"
    );
}

#[tokio::test]
async fn keys_of_holders_elsewhere_are_named_by_their_public_half() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let made = |name: &str| {
        let path = folder.join(name);
        (*pli_trust::keyfile::create(&path).unwrap().public(), path)
    };
    let (first, first_file) = made("a/root.key");
    let (second, second_file) = made("b/root.key");
    let line = format!(
        "federation init --dir @/federation --keys @/keys --root {first} --root {} --key {} --key {}",
        second_file.with_extension("key.pub").display(),
        first_file.display(),
        second_file.display(),
    );
    let report = pli(folder, &line).await.unwrap();
    assert_eq!(report.get("root_keys").as_deref(), Some("2 of 2"));
    assert_eq!(
        second.to_string() + "\n",
        std::fs::read_to_string(folder.join("b/root.key.pub")).unwrap()
    );
    publish(folder, "").await;
}

#[tokio::test]
async fn tru_6_1_holders_who_are_apart_sign_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    federation_with_interior(folder).await;
    publish(folder, "").await;
    let rotate =
        "federation rotate-root --dir @/federation --partial --key @/keys/offline/root-2.key";
    pli(folder, rotate).await.unwrap();
    // What is in force stays fresh meanwhile, and a revocation need not wait.
    for timestamp in ["2", "3"] {
        let early = publish(folder, "").await;
        assert_eq!(early.get("root_version").as_deref(), Some("1"));
        assert_eq!(early.get("timestamp_version").as_deref(), Some(timestamp));
        assert_eq!(
            early.get("waiting").as_deref(),
            Some("root version 1 has 1 signature, 2 needed")
        );
    }
    // The same holder again is still one; a holder of another role is turned away.
    let sign =
        |key: &str| format!("federation sign --dir @/federation --key @/keys/offline/{key}.key");
    pli(folder, &sign("root-2")).await.unwrap();
    let early = publish(folder, "").await;
    assert_eq!(early.get("root_version").as_deref(), Some("1"));
    assert!(pli(folder, &sign("targets-1")).await.is_err());
    pli(folder, &sign("root-3")).await.unwrap();
    let published = publish(folder, "").await;
    assert_eq!(published.get("root_version").as_deref(), Some("2"));
    assert_eq!(published.get("waiting"), None);
}

/// The first publication needs every signature: there is nothing in force that it could leave as it is.
#[tokio::test]
async fn tru_6_1_nothing_is_published_first_below_its_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    federation_with_interior(folder).await;
    let grant = "federation grant interieur.gouv.fr --host --dir @/federation --partial --key @/keys/offline/targets-1.key";
    pli(folder, grant).await.unwrap();
    let publish =
        "federation publish --dir @/federation --from @/interior/handover --key @/keys/online";
    let error = pli(folder, publish).await.unwrap_err().to_string();
    assert!(
        error.contains("has 1 signature, 2 needed; each further holder runs"),
        "{error}"
    );
}

/// A key is lost while a change of the list waits for its second signature.
#[tokio::test]
async fn tru_6_1_what_waits_for_signatures_holds_back_no_hand_over() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    federation_with_interior(folder).await;
    publish(folder, "").await;
    let grant = "federation grant interieur.gouv.fr --host --dir @/federation --partial --key @/keys/offline/targets-1.key";
    pli(folder, grant).await.unwrap();
    let revoke = "authority revoke --dir @/interior --service rdv";
    pli(folder, revoke).await.unwrap();
    pli(
        folder,
        "authority publish --dir @/interior --key @/interior-keys/role.key",
    )
    .await
    .unwrap();
    let published = publish(folder, "--from @/interior/handover").await;
    assert!(
        published
            .get("waiting")
            .unwrap()
            .starts_with("targets version 2 has 1 signature")
    );
    assert_eq!(published.get("targets_version").as_deref(), Some("1"));
    assert_eq!(published.get("nothing_new_from"), None);
    pli(
        folder,
        "federation sign --dir @/federation --key @/keys/offline/targets-2.key",
    )
    .await
    .unwrap();
    let published = publish(folder, "").await;
    assert_eq!(published.get("targets_version").as_deref(), Some("2"));
    assert_eq!(published.get("waiting"), None);
}

/// What operators read: a key has one name, a time its zone, a signature that is more than needed is no fraction.
#[tokio::test]
async fn what_is_shown_can_be_typed_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    federation_with_interior(folder).await;
    let form = |report: &Report, form| {
        let mut out = Vec::new();
        report.print(form, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let show = "authority show --dir @/interior";
    let shown = pli(folder, show).await.unwrap();
    let plain = form(&shown, super::Form::Plain);
    assert!(plain.contains("\t2027-01-15 08:00:00 UTC\t"), "{plain}");
    let json: serde_json::Value = serde_json::from_str(&form(&shown, super::Form::Json)).unwrap();
    let row = json["rows"].as_array().unwrap();
    let row = row
        .iter()
        .find(|row| row["owner"] == "rdv@interieur.gouv.fr")
        .unwrap();
    assert_eq!(
        row["not_before"], "2027-01-15T08:00:00Z",
        "a program's form"
    );
    let key = row["key"].as_str().unwrap().to_owned();

    // The beginning that a terminal shows names the key to `revoke`; so does its id.
    let terminal = form(&shown, super::Form::Terminal);
    let beginning = format!("{}…", &key[..16]);
    assert!(terminal.contains(&beginning), "{terminal}");
    let revoke =
        |name: &str| format!("authority revoke --dir @/interior --service rdv --old-key {name}");
    let revoked = pli(folder, &revoke(&beginning)).await.unwrap();
    assert_eq!(revoked.get("revoked").as_deref(), Some(key.as_str()));
    let id = row["key_id"].as_str().unwrap();
    let again = pli(folder, &revoke(id)).await.unwrap_err().to_string();
    for part in [
        &key,
        "has its end already, 2027-01-15 08:00:01 UTC",
        "set-service rdv --service-key",
    ] {
        assert!(again.contains(part), "{again}");
    }
    // What the refusal advises is there.
    let more = "authority set-service rdv --dir @/interior --service-key @/interior-keys/rdv-2.key";
    assert_eq!(
        pli(folder, more)
            .await
            .unwrap()
            .get("service_keys")
            .as_deref(),
        Some("2")
    );
    let twice = pli(folder, more).await.unwrap_err().to_string();
    assert!(
        twice.contains("is listed for rdv@interieur.gouv.fr already"),
        "{twice}"
    );

    let occupied = "authority init interieur.gouv.fr --dir @/interior --keys @/other --name-fr I --name-en I --quic 127.0.0.1:7400";
    let occupied = pli(folder, occupied).await.unwrap_err().to_string();
    assert!(
        occupied.ends_with("holds an authority's workspace already"),
        "{occupied}"
    );

    let grant =
        "federation grant interieur.gouv.fr --dir @/federation --lookup --key @/keys/offline";
    pli(folder, grant).await.unwrap();
    let shown = pli(folder, "federation show --dir @/federation")
        .await
        .unwrap();
    let staged = shown.get("staged").unwrap();
    assert!(staged.contains(": 3 signatures, 2 needed"), "{staged}");
    assert!(shown.get("root_expires").unwrap().ends_with(" UTC"));
}
