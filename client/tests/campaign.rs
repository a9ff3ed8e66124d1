//! A campaign that is killed and goes on: nothing that was recorded is sent again, and what was not
//! recorded is sent again as the very same letters.
#![allow(clippy::unwrap_used, reason = "a test that panics says so")]

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pli_client::clock;
use pli_client::service::Service;
use pli_client::service::campaign::{Campaign, CampaignError, StateError, Summary};
use pli_protocol::account::{AccountSecrets, SignedGrant};
use pli_protocol::code::Code;
use pli_protocol::custody::ack::{self, Issuer};
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::envelope::{Class, Letter};
use pli_protocol::id::{EnvelopeId, MailboxAddress, MailboxId};
use pli_protocol::wire;
use pli_protocol::wire::call_reply::Kind as Reply;
use serde_json::Value;
use support::{Federation, batch, reply, script};

const LIFETIME_MS: u64 = 86_400_000;
const PATIENCE: Duration = Duration::from_secs(20);
const LINES: usize = 300;

/// Acknowledges honestly up to `limit` letters, then takes letters and stays silent. Gives every id
/// that it was sent, in order.
async fn node(federation: &Arc<Federation>, limit: usize) -> Arc<Mutex<Vec<EnvelopeId>>> {
    deciding(federation, limit, |_| Disposition::Accepted).await
}

/// The same, with another answer to the letters that come `nth`.
async fn deciding(
    federation: &Arc<Federation>,
    limit: usize,
    decide: impl Fn(usize) -> Disposition + Copy + Send + Sync + 'static,
) -> Arc<Mutex<Vec<EnvelopeId>>> {
    let seen: Arc<Mutex<Vec<EnvelopeId>>> = Arc::default();
    let (of, ids) = (Arc::clone(federation), Arc::clone(&seen));
    let left = Arc::new(AtomicUsize::new(limit));
    let node = script(move |_, _, mut stream| {
        let (federation, seen, left) = (Arc::clone(&of), Arc::clone(&ids), Arc::clone(&left));
        async move {
            while let Some(wire::EnvelopeBatch { seq, envelopes }) = batch(&mut stream).await {
                let id = |bytes: &bytes::Bytes| Letter::decode(bytes.clone()).unwrap().id();
                let ids: Vec<EnvelopeId> = envelopes.iter().map(id).collect();
                let first = seen.lock().unwrap().len();
                seen.lock().unwrap().extend(&ids);
                if left.load(Ordering::SeqCst) < ids.len() {
                    left.store(0, Ordering::SeqCst);
                    continue;
                }
                left.fetch_sub(ids.len(), Ordering::SeqCst);
                let accepted: Vec<_> = ids
                    .into_iter()
                    .enumerate()
                    .map(|(nth, id)| (id, decide(first + nth)))
                    .collect();
                let issuer = Issuer {
                    node: federation.authority(),
                    step: Step::Accepted,
                };
                let key = federation.node_key();
                let ack = ack::sign(&issuer, seq..=seq, clock::now(), &accepted, &key).unwrap();
                reply(&mut stream, Reply::Ack(ack)).await;
            }
            let _ = stream.send.finish().await;
        }
    });
    federation.node(node).await;
    seen
}

async fn service(federation: &Federation) -> Service {
    let service = Service::open(&federation.path("service")).await.unwrap();
    let secrets = AccountSecrets::new([1; 32], [2; 32]);
    let mailbox = MailboxAddress {
        mailbox: MailboxId::new([7; 16]),
        home: federation.authority(),
    };
    let accepts = BTreeSet::from([Class::Message]);
    let grant = SignedGrant::make(
        &secrets,
        federation.authority(),
        mailbox,
        accepts,
        clock::now(),
    );
    let grant = grant.encoded().clone();
    service
        .contacts()
        .add(grant, Some("citoyen"), clock::now())
        .unwrap();
    service
}

fn line(n: usize) -> String {
    format!(
        r#"{{"to":"citoyen","content":{{"notice":{{"title":"Lettre {n}","body":"Bonjour"}}}}}}"#
    )
}

fn write_file(federation: &Federation, lines: &[String]) -> PathBuf {
    let path = federation.path("letters.ndjson");
    std::fs::write(&path, format!("{}\n", lines.join("\n"))).unwrap();
    path
}

fn results(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path.with_added_extension("pli-results")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn run(service: &Service, path: &std::path::Path) -> Result<Summary, CampaignError> {
    Campaign::of_file(path.to_owned(), LIFETIME_MS, PATIENCE)
        .run(service, |_| ())
        .await
}

/// Runs until `settled` lines are recorded and the node was `sent` so many letters, then drops everything, as
/// SIGKILL does.
async fn killed_after(
    service: &Service,
    path: &std::path::Path,
    settled: u64,
    seen: &Mutex<Vec<EnvelopeId>>,
    sent: usize,
) {
    let reached = Arc::new(tokio::sync::Notify::new());
    let signal = Arc::clone(&reached);
    let campaign = Campaign::of_file(path.to_owned(), LIFETIME_MS, PATIENCE);
    let running = campaign.run(service, move |progress| {
        if progress.lines >= settled {
            signal.notify_one();
        }
    });
    tokio::select! {
        ended = running => panic!("it should not have ended: {ended:?}"),
        () = async {
            reached.notified().await;
            while seen.lock().unwrap().len() < sent {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        } => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_60_a_killed_campaign_goes_on_with_the_same_letters_and_none_twice() {
    let federation = Arc::new(Federation::new().await);
    let service = service(&federation).await;
    let mut lines: Vec<String> = (0..LINES).map(line).collect();
    lines.insert(5, "not json".into());
    lines.insert(6, String::new());
    let path = write_file(&federation, &lines);

    const ACKNOWLEDGED: usize = 100;
    // Some are acknowledged and recorded; others were taken by the node and never acknowledged.
    let first = node(&federation, ACKNOWLEDGED).await;
    killed_after(&service, &path, 60, &first, ACKNOWLEDGED + 1).await;
    let recorded: BTreeSet<String> = results(&path)
        .iter()
        .filter_map(|row| row["id"].as_str().map(str::to_owned))
        .collect();
    let first = first.lock().unwrap().clone();
    assert!(
        recorded.len() >= 58 && recorded.len() < first.len(),
        "{} of {}",
        recorded.len(),
        first.len()
    );

    let second = node(&federation, usize::MAX).await;
    let summary = run(&service, &path).await.unwrap();
    let second = second.lock().unwrap().clone();
    assert!(summary.resumed_after >= 60);
    assert_eq!(summary.counts.accepted, LINES as u64);
    assert_eq!(summary.counts.invalid, 1);
    assert_eq!(summary.lines, LINES as u64 + 2);

    let again: BTreeSet<EnvelopeId> = second.iter().copied().collect();
    assert_eq!(again.len(), second.len(), "none is sent twice in one run");
    assert!(
        again.iter().all(|id| !recorded.contains(&id.to_string())),
        "nothing recorded again"
    );
    // What the node had and nobody recorded came again under the same id, not as a second letter.
    let unrecorded = first
        .iter()
        .filter(|id| !recorded.contains(&id.to_string()));
    assert!(unrecorded.clone().count() > 0);
    assert!(unrecorded.clone().all(|id| again.contains(id)));
    let all: BTreeSet<EnvelopeId> = first.iter().chain(&second).copied().collect();
    assert_eq!(all.len(), LINES);

    // Every line once, in the order of the file, each with its receipt.
    let rows = results(&path);
    let numbers: Vec<u64> = rows
        .iter()
        .map(|row| row["line"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (1..=LINES as u64 + 2).filter(|line| *line != 7).collect();
    assert_eq!(numbers, expected);
    assert_eq!(rows[5]["outcome"], "invalid");
    assert!(
        rows.iter()
            .all(|row| row["receipt"].is_string() || row["outcome"] == "invalid")
    );

    // A third run has nothing to do and says so.
    let third = node(&federation, usize::MAX).await;
    let summary = run(&service, &path).await.unwrap();
    assert_eq!(summary.resumed_after, summary.lines);
    assert!(third.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_does_not_go_on_with_a_file_that_changed_or_for_another_service() {
    let federation = Arc::new(Federation::new().await);
    let service = service(&federation).await;
    let lines: Vec<String> = (0..3).map(line).collect();
    let path = write_file(&federation, &lines);
    node(&federation, usize::MAX).await;
    run(&service, &path).await.unwrap();

    // More lines at the end are a longer campaign.
    let mut longer = lines.clone();
    longer.push(line(3));
    write_file(&federation, &longer);
    let summary = run(&service, &path).await.unwrap();
    assert_eq!((summary.resumed_after, summary.lines), (3, 4));

    let mut changed = longer.clone();
    changed[0] = line(99);
    write_file(&federation, &changed);
    let error = run(&service, &path).await.unwrap_err();
    assert!(
        matches!(error, CampaignError::State(StateError::FileChanged { .. })),
        "{error}"
    );
    assert!(
        error.to_string().contains("begin anew"),
        "says what to do: {error}"
    );

    // Case 75: the state holds a secret.
    use std::os::unix::fs::PermissionsExt;
    let state = path.with_added_extension("pli-state");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = run(&service, &path).await.unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o600)).unwrap();

    let text = std::fs::read_to_string(&state)
        .unwrap()
        .replace("rdv@", "impots@");
    std::fs::write(&state, text).unwrap();
    let error = run(&service, &path).await.unwrap_err();
    assert!(
        matches!(error, CampaignError::State(StateError::OtherService { .. })),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_nothing_but_faults_ends_without_a_connection() {
    let federation = Arc::new(Federation::new().await);
    let service = service(&federation).await;
    let lines = [
        "{}",
        "[]",
        r#"{"to":"nobody","content":{"notice":{"title":"a","body":"b"}}}"#,
        r#"{"to":"citoyen","event":{},"content":{}}"#,
    ];
    let path = write_file(&federation, &lines.map(str::to_owned));
    // No node at all.
    let summary = run(&service, &path).await.unwrap();
    assert_eq!((summary.counts.invalid, summary.counts.total()), (4, 4));
    let reasons: Vec<String> = results(&path)
        .iter()
        .map(|row| row["reason"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        reasons[2].contains("pli service contact add"),
        "says what to do: {}",
        reasons[2]
    );
}

/// What failed is corrected in a file of its own, and only that is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_failed_are_written_out_counted_by_code_and_sent_alone() {
    let federation = Arc::new(Federation::new().await);
    let service = service(&federation).await;
    let mut lines: Vec<String> = (0..6).map(line).collect();
    lines[0] = format!("\u{feff}{}", lines[0]);
    lines[1] = r#"{"to":"citoyne","content":{"notice":{"title":"a","body":"b"}}}"#.into();
    lines.insert(4, String::new());
    let path = write_file(&federation, &lines);
    let first = deciding(&federation, usize::MAX, |nth| match nth {
        1 | 3 => Disposition::Refused(Code::QuotaExceeded),
        _ => Disposition::Accepted,
    })
    .await;
    let summary = run(&service, &path).await.unwrap();
    assert_eq!(first.lock().unwrap().len(), 5);
    let counts = summary.counts;
    assert_eq!((counts.accepted, counts.refused, counts.invalid), (3, 2, 1));
    assert_eq!(summary.faults["QUOTA_EXCEEDED"].lines, [3, 6]);
    let contact = &summary.faults["contact"];
    assert_eq!((contact.count, &contact.lines[..]), (1, &[2][..]));
    assert!(contact.reason.as_ref().unwrap().contains("citoyne"));

    let failed = summary.failed.unwrap();
    assert_eq!(failed, path.with_added_extension("failed.ndjson"));
    let text = std::fs::read_to_string(&failed).unwrap();
    let expected = [&lines[1], &lines[2], &lines[5]].map(|line| format!("{line}\n"));
    assert_eq!(text, expected.concat());
    // Case 75: it holds letters.
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&failed).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // Corrected in place, and sent: the three of them, and no other letter.
    std::fs::write(&failed, text.replace("citoyne", "citoyen")).unwrap();
    let second = node(&federation, usize::MAX).await;
    let again = run(&service, &failed).await.unwrap();
    assert_eq!((again.counts.accepted, again.counts.total()), (3, 3));
    assert_eq!(again.failed, None);
    assert_eq!(second.lock().unwrap().len(), 3);

    // The first campaign has nothing left to do and leaves the corrected file alone.
    let summary = run(&service, &path).await.unwrap();
    assert_eq!(summary.resumed_after, summary.lines);
    assert!(
        std::fs::read_to_string(&failed)
            .unwrap()
            .contains("citoyen")
    );

    // Lines that are added and fail go to another file.
    lines.push("{".into());
    write_file(&federation, &lines);
    let summary = run(&service, &path).await.unwrap();
    let later = path.with_added_extension("failed-after-7.ndjson");
    assert_eq!(summary.failed.as_ref(), Some(&later));
    assert_eq!(std::fs::read_to_string(&later).unwrap(), "{\n");

    // A file corrected in the wrong place says where the right one is.
    lines[1] = line(77);
    write_file(&federation, &lines);
    let error = run(&service, &path).await.unwrap_err().to_string();
    assert!(error.contains("letters.ndjson.failed.ndjson"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_line_is_explained_in_the_words_of_who_wrote_it() {
    let federation = Arc::new(Federation::new().await);
    let service = service(&federation).await;
    let cases = [
        ("[]", "a list, not an object"),
        ("{\"to\":", "not JSON: "),
        ("{\"tos\":\"citoyen\"}", "unknown field `tos`"),
        ("{\"to\":\"citoyen\"}", "neither an event nor a content"),
        (
            r#"{"to":"citoyen","importance":"legal","content":{"notice":{"title":"a","body":"b"}}}"#,
            "--importance information --importance action --importance legal",
        ),
    ];
    let path = write_file(&federation, &cases.map(|(line, _)| line.to_owned()));
    let summary = run(&service, &path).await.unwrap();
    assert_eq!(summary.counts.invalid, cases.len() as u64);
    for (row, (line, said)) in results(&path).iter().zip(cases) {
        let reason = row["reason"].as_str().unwrap();
        assert!(reason.contains(said), "{line}: {reason}");
        assert!(
            !reason.contains("struct") && !reason.contains("at line 1"),
            "{reason}"
        );
        assert!(!reason.contains("content: content"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_no_device_makes_clickable_is_told_to_the_sender() {
    let federation = Arc::new(Federation::new().await);
    let service = service(&federation).await;
    let link = |host: &str| {
        format!(
            r#"{{"to":"citoyen","content":{{"notice":{{"title":"a","body":"b","link":{{"url":"https://{host}/x"}}}}}}}}"#
        )
    };
    let path = write_file(
        &federation,
        &[
            link("rdv.interieur.gouv.fr"),
            link("autre.example"),
            link("autre.example"),
        ],
    );
    node(&federation, usize::MAX).await;
    let summary = run(&service, &path).await.unwrap();
    assert_eq!(summary.counts.accepted, 3, "it is a warning");
    let hosts: Vec<_> = summary.unlisted_links.iter().collect();
    assert_eq!(hosts.len(), 1);
    assert_eq!(
        (hosts[0].0.as_str(), hosts[0].1.first, hosts[0].1.count),
        ("autre.example", 2, 2)
    );
}
