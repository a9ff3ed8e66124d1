//! What happens, act by act. Every act tells its story and keeps the tally.

mod evidence;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pli_client::clock;
use pli_client::device::Shown;
use pli_client::device::verify::VerifiedLetter;
use pli_client::partner::PartnerEvent;
use pli_client::service::Service;
use pli_client::service::draft::{Draft, Handling};
use pli_protocol::account::Grant;
use pli_protocol::code::Code;
use pli_protocol::custody::{Disposition, Step};
use pli_protocol::id::EnvelopeId;
use pli_testbed::Federation;
use pli_testbed::citizens::Citizen;
use pli_testbed::fixtures::{self, TestCitizen};
use pli_testbed::hostile::{Hostile, prepared};
use pli_testbed::sending::{prepare, submit_all};
use pli_testbed::story::Story;
use tokio::sync::Semaphore;

use crate::cast::{BENEFITS, DIGITAL, INTERIOR, OTV, PROCEDURES, SOCIAL};
use crate::tally::{Sent, Tally};
use crate::{Trouble, cast, mail};

/// Devices that work at a time.
const AT_ONCE: usize = 16;
/// How long a citizen waits for a letter before the demo calls it lost.
const PATIENCE: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Everything that is on.
pub(crate) struct Stage {
    story: Story,
    started: Instant,
    federation: Federation,
    services: BTreeMap<&'static str, Arc<Service>>,
    people: Vec<TestCitizen>,
    citizens: Vec<Citizen>,
    /// For each citizen, the grant to each service's authority.
    grants: Vec<Grants>,
    /// The exact bytes of a letter that was delivered, as somebody on the way may have copied them.
    copied: Option<(EnvelopeId, Bytes)>,
    tally: Tally,
}

/// A citizen's grants, by the service that writes.
type Grants = BTreeMap<&'static str, Arc<Grant>>;

/// The first half of the citizens live at the Interior, the others at Social Affairs.
fn home_of(index: usize, count: usize) -> &'static str {
    if index < count / 2 { INTERIOR } else { SOCIAL }
}

impl Stage {
    pub(crate) async fn set(story: Story, folder: Option<PathBuf>) -> Result<Self, Trouble> {
        story.chapter(1, "Three ministries found a federation");
        let mut plan = cast::federation();
        if let Some(folder) = folder {
            plan = plan.folder(folder);
        }
        let federation = plan.start().await?;
        story.good("a directory whose root needs 2 of 3 offline keys, signed by pli federation and pli authority");
        for node in federation.nodes() {
            let addresses = node.addresses();
            let text = format!(
                "QUIC {}   WebSocket {}",
                addresses.quic, addresses.websocket
            );
            story.row(node.authority().as_str(), &text);
        }
        let mut services = BTreeMap::new();
        for id in [OTV, BENEFITS, PROCEDURES] {
            let service = federation.service(id).await?;
            service.check_listed().await?;
            services.insert(id, Arc::new(service));
        }
        let people = fixtures::citizens();
        Ok(Self {
            story,
            started: Instant::now(),
            federation,
            services,
            people,
            citizens: Vec::new(),
            grants: Vec::new(),
            copied: None,
            tally: Tally::default(),
        })
    }

    pub(crate) async fn enrol(&mut self) -> Result<(), Trouble> {
        let count = self.people.len();
        self.story.chapter(
            2,
            &format!("{count} citizens choose a home and say who may write to them"),
        );
        let mut links = Vec::new();
        for home in [INTERIOR, SOCIAL] {
            let at_home = (0..count)
                .filter(|index| home_of(*index, count) == home)
                .count();
            links.extend(self.federation.invitations(home, at_home).await?);
        }
        let joining = links
            .into_iter()
            .enumerate()
            .map(|(index, link)| self.join(index, link));
        let joined = at_once(joining.collect()).await;
        for one in joined {
            let (citizen, grants) = one?;
            self.citizens.push(citizen);
            self.grants.push(grants);
        }
        let per_home = count / 2;
        self.story.good(&format!(
            "{per_home} enrolled at {INTERIOR}, {} at {SOCIAL}, none at {DIGITAL}",
            count - per_home
        ));
        let given = self.grants.iter().map(Grants::len).sum::<usize>();
        self.story.good(&format!(
            "{given} grants given: to each authority another mailbox and other keys"
        ));
        let first = &self.grants[0];
        for (service, grant) in first {
            self.story.row(
                &format!("{} to {service}", self.citizens[0].name),
                &grant.mailbox.to_string(),
            );
        }
        Ok(())
    }

    /// One citizen: a device, and a grant to each authority that writes to them.
    fn join(
        &self,
        index: usize,
        link: String,
    ) -> impl Future<Output = Result<(Citizen, Grants), Trouble>> + Send + use<> {
        let person = self.people[index].clone();
        let home = home_of(index, self.people.len());
        let reception = self.federation.reception(home);
        let writers = [PROCEDURES, if home == SOCIAL { OTV } else { BENEFITS }];
        let writers = writers.map(|id| (id, self.services[id].clone()));
        async move {
            let name = format!("{}-{}", person.id, person.login.replace(['/', ' '], "_"));
            let mut citizen = reception.enrol(&name, &link).await?;
            citizen.name = person.display_name();
            let mut grants = Grants::new();
            for (id, service) in writers {
                grants.insert(id, citizen.grant_as(&service, &name).await?);
            }
            Ok((citizen, grants))
        }
    }

    pub(crate) async fn write_and_cut_the_power(&mut self) -> Result<(), Trouble> {
        self.story.chapter(
            3,
            "The ministries write; in the middle a home loses its power",
        );
        let everybody: Vec<usize> = (0..self.people.len()).collect();
        let of_home = |home| move |index: &usize| home_of(*index, 80) == home;
        let mut first = Vec::new();
        for &index in &everybody {
            first.push((index, mail::procedure(&self.people[index])?));
        }
        self.send(PROCEDURES, first).await?;

        self.federation.node_mut(SOCIAL).kill().await?;
        self.story.bad(&format!(
            "SIGKILL: the node of {SOCIAL} is gone, in the middle of its mail"
        ));
        let mut watch = Vec::new();
        for index in everybody.iter().copied().filter(of_home(SOCIAL)) {
            for step in mail::holiday_watch(&self.people[index])? {
                watch.push((index, step));
            }
        }
        self.send(OTV, watch).await?;
        let mut older = Vec::new();
        for &index in &everybody {
            older.push((index, mail::notification(&self.people[index])?));
        }
        self.send(PROCEDURES, older).await?;
        let waiting = self
            .federation
            .node(INTERIOR)
            .count("pli_deliver_waiting", "")
            .await?;
        self.story.note(&format!(
            "{waiting:.0} letters wait on the disk of {INTERIOR} for the home that is away"
        ));

        let down = Instant::now();
        self.federation.node_mut(SOCIAL).restart().await?;
        self.story.good(&format!(
            "{SOCIAL} starts again in {} ms and takes up its mail",
            down.elapsed().as_millis()
        ));
        let mut benefits = Vec::new();
        for index in everybody.iter().copied().filter(of_home(INTERIOR)) {
            benefits.push((index, mail::benefit(&self.people[index])?));
        }
        self.send(BENEFITS, benefits).await
    }

    async fn send(
        &mut self,
        id: &'static str,
        events: Vec<(usize, PartnerEvent)>,
    ) -> Result<(), Trouble> {
        let service = self.services[id].clone();
        let mut drafts = Vec::new();
        for (index, event) in events {
            let handling = Handling {
                urgency: event.urgency(),
                ..Handling::new(clock::now())
            };
            let grant = self.grants[index][id].clone();
            let draft = Draft::new(grant, &event.content, handling)?;
            drafts.push(((index, event.content), draft));
        }
        let letters = prepare(&service, drafts).await?;
        for letter in &letters {
            let (citizen, content) = letter.tag.clone();
            self.tally.ledger.sent(letter.id);
            self.tally.sent.insert(
                letter.id,
                Sent {
                    citizen,
                    service: id,
                    content,
                },
            );
        }
        if id == OTV {
            self.copied = letters
                .first()
                .map(|letter| (letter.id, letter.envelope.clone()));
        }
        let count = letters.len();
        let settled = submit_all(&service, letters).await?;
        let mut accepted = 0;
        for one in settled {
            match one.disposition {
                Disposition::Accepted => {
                    self.tally.ledger.acknowledged(one.id);
                    accepted += 1;
                }
                other => self.tally.wrong(format!("{} of {id}: {other:?}", one.id)),
            }
        }
        let authority = service.id().authority();
        self.story.good(&format!(
            "{id} wrote {count} letters; {accepted} are on the disk of {authority}, and receipted"
        ));
        Ok(())
    }

    pub(crate) async fn attack(&mut self) -> Result<(), Trouble> {
        self.story.chapter(4, "Somebody tries what should not work");
        let service = self.services[OTV].clone();
        let victim = self.people.len() - 1;
        let grant = self.grants[victim][OTV].clone();
        let other = self.grants[victim - 1][OTV].mailbox.clone();
        let content = mail::benefit(&self.people[victim])?.content;
        let hostile = Hostile::new(&service, grant, content);
        let benefits = self.services[BENEFITS].clone();
        let (_, stolen) = self
            .copied
            .clone()
            .ok_or("no letter was copied on the way")?;
        let attempts = [
            (
                "forged by a stranger's key",
                &service,
                hostile.forged()?,
                Code::UnknownKey,
            ),
            (
                "signature altered",
                &service,
                hostile.bad_signature()?,
                Code::BadSignature,
            ),
            (
                "in another ministry's name",
                &service,
                hostile.impersonating(benefits.id())?,
                Code::NotAuthoritative,
            ),
            (
                "replayed by a thief",
                &benefits,
                stolen,
                Code::NotAuthoritative,
            ),
            ("expired", &service, hostile.expired()?, Code::Expired),
            (
                "re-addressed on the way",
                &service,
                hostile.readdressed(&other)?,
                Code::BadSignature,
            ),
            (
                "oversized",
                &service,
                hostile.oversized()?,
                Code::EnvelopeTooLarge,
            ),
        ];
        for (name, by, letter, expected) in attempts {
            self.tally.hostile += 1;
            let settled = submit_all(by, vec![prepared((), letter)]).await?;
            let disposition = settled.first().map(|one| one.disposition);
            if disposition == Some(Disposition::Refused(expected)) {
                self.tally.refused += 1;
                self.story.good(&format!("{name:<28} refused: {expected}"));
            } else {
                self.tally
                    .wrong(format!("{name}: {disposition:?} instead of {expected}"));
                self.story
                    .bad(&format!("{name:<28} {disposition:?} instead of {expected}"));
            }
        }
        self.replay().await
    }

    /// Its own sender may say a thing twice: it is one letter, with one receipt.
    async fn replay(&mut self) -> Result<(), Trouble> {
        let service = self.services[BENEFITS].clone();
        let event = mail::benefit(&self.people[0])?;
        let draft = Draft::new(
            self.grants[0][BENEFITS].clone(),
            &event.content,
            Handling::new(clock::now()),
        )?;
        let letters = prepare(&service, vec![((), draft)]).await?;
        let id = letters[0].id;
        self.tally.ledger.sent(id);
        self.tally.sent.insert(
            id,
            Sent {
                citizen: 0,
                service: BENEFITS,
                content: event.content,
            },
        );
        let first = submit_all(&service, letters.clone()).await?;
        self.tally.ledger.acknowledged(id);
        let again = submit_all(&service, letters).await?;
        let duplicate = matches!(again[0].disposition, Disposition::Duplicate { .. });
        if duplicate && first[0].receipt == again[0].receipt {
            self.story.good(&format!(
                "{:<28} DUPLICATE: one delivery, the first receipt again",
                "replayed by its sender"
            ));
        } else {
            self.tally.wrong(format!(
                "a duplicate was answered {:?}",
                again[0].disposition
            ));
        }
        Ok(())
    }

    pub(crate) async fn read(&mut self) -> Result<(), Trouble> {
        self.story.chapter(
            5,
            "Each device fetches its mail, checks it down to the root, and opens it",
        );
        let mut due = vec![0; self.citizens.len()];
        for sent in self.tally.sent.values() {
            due[sent.citizen] += 1;
        }
        let reading = std::mem::take(&mut self.citizens).into_iter().zip(due).map(
            |(mut citizen, due)| async move {
                let shown = citizen.receive_at_least(due, PATIENCE).await;
                (citizen, shown)
            },
        );
        let mut sample = None;
        for (index, (citizen, shown)) in at_once(reading.collect()).await.into_iter().enumerate() {
            match shown {
                Ok(shown) => self.check(index, &citizen, &shown, &mut sample),
                Err(trouble) => self.tally.wrong(trouble.to_string()),
            }
            self.citizens.push(citizen);
        }
        let balance = self.tally.ledger.balance();
        self.story.good(&format!(
            "{} letters delivered, each to the right citizen, once",
            balance.delivered
        ));
        self.story.good(&format!(
            "{} verified and opened; words as they were written",
            self.tally.verified
        ));
        if let Some((name, letter)) = sample
            && let Ok(content) = letter.content()
        {
            let notice = content.notice();
            self.story
                .note(&format!("for example, on the phone of {name}:"));
            let from = letter.sender_name();
            self.story
                .row("de", &format!("{} ({})", from.fr, letter.sender()));
            self.story.row("objet", notice.title.in_language("fr"));
            self.story.row("", notice.body.in_language("fr"));
        }
        Ok(())
    }

    /// Compares what a device shows with what was written to its citizen.
    fn check(
        &mut self,
        index: usize,
        citizen: &Citizen,
        shown: &[Shown],
        sample: &mut Option<(String, VerifiedLetter)>,
    ) {
        for one in shown {
            let Some(letter) = one.verified() else {
                self.tally
                    .wrong(format!("{}: {:?}", citizen.name, one.letter));
                continue;
            };
            self.tally.ledger.delivered(letter.id());
            let as_written = self.tally.sent.get(&letter.id()).is_some_and(|sent| {
                sent.citizen == index
                    && letter.sender().to_string() == sent.service
                    && letter
                        .content()
                        .is_ok_and(|content| *content == sent.content)
            });
            if as_written {
                self.tally.verified += 1;
                sample.get_or_insert_with(|| (citizen.name.clone(), letter.clone()));
            } else {
                self.tally
                    .wrong(format!("{} is not what was written", letter.id()));
            }
        }
    }

    /// What the senders hold afterwards: receipts of every hop, each checked against the directory.
    pub(crate) async fn prove(&mut self) -> Result<(), Trouble> {
        self.story
            .chapter(6, "Each sender holds signed receipts of every hop");
        let mut by_service: BTreeMap<&'static str, Vec<EnvelopeId>> = BTreeMap::new();
        for (id, sent) in &self.tally.sent {
            by_service.entry(sent.service).or_default().push(*id);
        }
        for (name, ids) in by_service {
            let started = Instant::now();
            let mut retrieved = 0;
            // The last receipts are on their way back from the homes.
            while started.elapsed() < PATIENCE {
                retrieved = 0;
                for tracked in self.services[name].track(&ids).await? {
                    let proven: Vec<Step> = tracked
                        .receipts
                        .iter()
                        .filter(|checked| checked.verdict.is_ok())
                        .filter_map(|checked| checked.receipt.as_ref())
                        .map(|receipt| receipt.step)
                        .collect();
                    let complete = [Step::Accepted, Step::Stored, Step::Retrieved];
                    retrieved += usize::from(complete.iter().all(|step| proven.contains(step)));
                }
                if retrieved == ids.len() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if retrieved < ids.len() {
                self.tally.wrong(format!(
                    "{name}: {retrieved} of {} letters have all receipts",
                    ids.len()
                ));
            }
            self.story.good(&format!(
                "{name:<28} {retrieved} × accepted, stored, retrieved"
            ));
        }
        Ok(())
    }

    /// The last line, and whether everything is right.
    pub(crate) fn close(&self) -> bool {
        self.story.line("");
        for wrong in &self.tally.wrong {
            self.story.bad(wrong);
        }
        let balance = self.tally.ledger.balance();
        if !balance.is_right() {
            self.story.bad(&balance.to_string());
        }
        self.story.note(&format!(
            "took {:.1} s",
            self.started.elapsed().as_secs_f64()
        ));
        self.story.line(&self.story.strong(&self.tally.to_string()));
        self.tally.is_right()
    }

    pub(crate) fn where_to_look(&self) {
        let story = &self.story;
        story.chapter(10, "Where to look");
        let social = self.federation.node(SOCIAL).addresses();
        story.row(
            "a node's state",
            &format!("curl http://{}/status", social.ops),
        );
        story.row(
            "its figures",
            &format!("curl http://{}/metrics", social.ops),
        );
        story.row(
            "the directory",
            &format!("curl http://{}/trust/metadata/timestamp.json", social.http),
        );
        story.row(
            "a node's log",
            &self
                .federation
                .node(SOCIAL)
                .log_path()
                .display()
                .to_string(),
        );
        story.row(
            "what a letter's way was",
            &self.bundle_page().display().to_string(),
        );
        story.row(
            "an inbox",
            &format!(
                "target/debug/pli device inbox --home {}",
                self.citizens[0].folder.display()
            ),
        );
        story.row(
            "everything",
            &self.federation.folder().display().to_string(),
        );
        story.line("\n     Ctrl-C ends the federation.");
    }

    /// Every node drains and ends with 0.
    pub(crate) async fn stop(mut self) -> Result<(), Trouble> {
        for authority in [INTERIOR, SOCIAL, DIGITAL] {
            let status = self
                .federation
                .node_mut(authority)
                .terminate(STOP_WITHIN)
                .await?;
            if !status.success() {
                return Err(format!("the node of {authority} ended with {status}").into());
            }
        }
        Ok(())
    }
}

/// Runs futures on tasks of their own, [`AT_ONCE`] at a time; the answers come in the order asked.
async fn at_once<F>(futures: Vec<F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let tasks: Vec<_> = futures
        .into_iter()
        .map(|future| {
            let room = room.clone();
            tokio::spawn(async move {
                let _place = room.acquire_owned().await.expect("nobody closes it");
                future.await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.push(task.await.expect("a task of the demo does not panic"));
    }
    answers
}
