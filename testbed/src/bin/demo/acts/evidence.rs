//! What proves itself without anybody's word, and who is caught: bundles, a node with two logs, a stolen key.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pli_client::evidence::verify::verify;
use pli_client::service::Service;
use pli_client::{clock, content_json, reach};
use pli_protocol::code::Code;
use pli_protocol::custody::Disposition;
use pli_protocol::evidence::Noted;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::session::Principal;
use pli_protocol::trust::Environment;
use pli_protocol::wire::{self, call};
use pli_testbed::fork::{self, Fork};
use pli_testbed::hostile::{Hostile, prepared};
use pli_testbed::sending::submit_all;
use pli_testbed::{ops, session};
use pli_transport::{Credential, DialledConnection, Dialler};
use pli_trust::keyfile;

use super::{PATIENCE, Stage};
use crate::cast::{BENEFITS, DIGITAL, INTERIOR, OTV, SOCIAL};
use crate::{Trouble, mail};

const POLL: Duration = Duration::from_millis(50);
/// A copy of the bundle is tampered with at so many places.
const TAMPERED: usize = 200;
/// How long before its revocation the key was stolen.
const STOLEN_BEFORE_MS: u64 = 3_600_000;

impl Stage {
    fn bundle_file(&self) -> PathBuf {
        self.federation.folder().join("letter.pli")
    }

    pub(super) fn bundle_page(&self) -> PathBuf {
        self.federation.folder().join("letter.html")
    }

    /// One file, made by the sender from what the nodes answer, verified by somebody who asks nobody.
    pub(crate) async fn prove_offline(&mut self) -> Result<(), Trouble> {
        self.story.chapter(
            7,
            "What became of a letter is proven offline, to whoever asks years later",
        );
        let (id, envelope) = self.copied.clone().ok_or("no letter was copied")?;
        let folder = self.federation.folder().to_owned();
        let letter = folder.join("letter.sealed");
        fs::write(&letter, envelope)?;
        let (home, root) = (
            self.federation.service_home(&INTERIOR.parse()?, "otv"),
            self.federation.root_file(),
        );
        let (file, page) = (self.bundle_file(), self.bundle_page());
        let (id, home, letter, out) = (id.to_string(), text(&home), text(&letter), text(&file));
        let get = [
            "evidence", "get", &id, "--home", &home, "--letter", &letter, "--out", &out,
        ];
        // Events are final once another ministry has cosigned the log that holds them: seconds.
        let began = Instant::now();
        while let Err(not_yet) = self.federation.pli(&get).await {
            if began.elapsed() > PATIENCE {
                return Err(not_yet.into());
            }
            drop(fs::remove_file(&file));
            tokio::time::sleep(POLL * 10).await;
        }
        let bundle = Bytes::from(fs::read(&file)?);
        self.story.good(&format!(
            "pli evidence get: one file of {} KiB, {:.1} s after the asking",
            bundle.len() / 1024,
            began.elapsed().as_secs_f64()
        ));
        let (root_file, page) = (text(&root), text(&page));
        let verify_it = [
            "--json", "evidence", "verify", &out, "--root", &root_file, "--html", &page,
        ];
        let said: serde_json::Value =
            serde_json::from_str(&self.federation.pli(&verify_it).await?)?;
        let events = said["events"].as_array().ok_or("events are told")?;
        for event in events {
            let witnesses = event["witnesses"].as_array().into_iter().flatten();
            let seen = witnesses.filter_map(|one| one["authority"].as_str());
            let (what, who) = (event["event"].as_str(), event["node"].as_str());
            let by = format!(
                "by {}, seen by {}",
                who.unwrap_or_default(),
                seen.collect::<Vec<_>>().join(" and ")
            );
            self.story.row(what.unwrap_or_default(), &by);
        }
        self.story.good(&format!(
            "pli evidence verify: {} events proven by the federation's root alone, no node asked",
            events.len()
        ));
        if events.len() < 4 {
            self.tally
                .wrong(format!("a bundle proves {} events", events.len()));
        }
        self.tamper(&bundle, &root).await
    }

    async fn tamper(&mut self, bundle: &Bytes, root: &Path) -> Result<(), Trouble> {
        let root = fs::read(root)?.into();
        let mut caught = 0;
        let mut named = Vec::new();
        for turn in 0..TAMPERED {
            let at = turn * (bundle.len() - 1) / (TAMPERED - 1);
            let mut tampered = bundle.to_vec();
            tampered[at] ^= 1;
            match verify(&tampered.into(), &root, Environment::Production).await {
                Ok(_) => self
                    .tally
                    .wrong(format!("byte {at} of a bundle may be anything")),
                Err(broken) => {
                    caught += 1;
                    if !named.contains(&broken.part) {
                        named.push(broken.part);
                    }
                }
            }
        }
        self.story.good(&format!(
            "one bit altered, at {TAMPERED} places in turn: {caught} caught, and the part named"
        ));
        self.story.note(&named.join(", "));
        Ok(())
    }

    /// The operator of a node signs a second past with the node's own key. It needs only one witness who saw the first.
    pub(crate) async fn convict(&mut self) -> Result<(), Trouble> {
        self.story.chapter(
            8,
            "A node keeps two books, and is convicted by its own signature",
        );
        let node = self.federation.node(DIGITAL);
        let http = node.addresses().http;
        let starts = ops::get(http, "/pli/log/starts").await?.body;
        let start = starts.lines().last().ok_or("a log has a start")?.to_owned();
        let first = ops::get(http, &format!("/pli/log/{start}/checkpoint")).await?;
        let first = Noted::parse(&first.body)?;
        let key = keyfile::load(&node.home().join("keys/log.key"))?;
        let (origin, size) = (first.checkpoint().origin.clone(), first.checkpoint().size);
        self.story.row("the log of", &origin.to_string());
        self.story.row("entries cosigned", &size.to_string());
        let second = Fork { leaf: [20; 32] }.request(&origin, &key, size, size);
        let witness = self.federation.node(INTERIOR).addresses();
        let answer = fork::ask(witness.http, &second)
            .await
            .ok_or("a witness answers")?;
        if answer.0 == 200 {
            self.tally.wrong("a witness cosigned a second past");
        }
        self.story.good(&format!(
            "{INTERIOR} does not cosign another log of the same size: {}",
            answer.0
        ));
        let told = self.alarm(INTERIOR, "split_view").await?;
        self.story
            .good("both signatures are kept, and its operator is told:");
        self.story.note(&told);
        self.alarm(SOCIAL, "split_view").await?;
        self.story.good(&format!(
            "{SOCIAL}, which was not asked, has heard by gossip, checked both signatures, and keeps them too"
        ));
        Ok(())
    }

    /// What an operator is told of this kind.
    async fn alarm(&self, of: &str, kind: &str) -> Result<String, Trouble> {
        let began = Instant::now();
        loop {
            let status = self.status(of).await?;
            let alarms = status["alarms"].as_array().ok_or("alarms are listed")?;
            if let Some(alarm) = alarms.iter().find(|alarm| alarm["alarm"] == kind) {
                return Ok(alarm["detail"].as_str().unwrap_or_default().to_owned());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{of} does not alarm {kind}").into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A service's key was stolen an hour ago, and that of its node with it. Its administration ends it; from then on no node
    /// takes anything signed by it, from whomever it comes.
    pub(crate) async fn revoke(&mut self) -> Result<(), Trouble> {
        self.story.chapter(
            9,
            "A service's key is stolen, and revoked while everybody runs",
        );
        let service = self.services[BENEFITS].clone();
        let content = mail::benefit(&self.people[0])?.content;
        let hostile = Hostile::new(&service, self.grants[0][BENEFITS].clone(), content);
        // The thief is connected already, as the service.
        let session = self.as_service(&service).await?;
        let authority = service.id().authority().clone();
        let key = self
            .federation
            .service_home(&authority, "aides")
            .join("service.key");
        let began = Instant::now();
        let since = Timestamp::from_ms(clock::now().as_ms() - STOLEN_BEFORE_MS);
        let since = content_json::time(since);
        let whose = ["--service", "aides", "--stolen-at", &since];
        self.federation.revoke(&authority, &whose, &key).await?;
        let published = Instant::now();
        tokio::time::timeout(PATIENCE, session.closed()).await?;
        self.story.good(&format!(
            "signed and published in {} ms; {} ms later the thief's open session is cut",
            (published - began).as_millis(),
            published.elapsed().as_millis()
        ));
        let newest = self.newest_directory().await?;
        for of in [INTERIOR, SOCIAL, DIGITAL] {
            self.directory_of(of, newest).await?;
        }
        self.story.good(&format!(
            "all three nodes go by directory {newest} after {} ms",
            published.elapsed().as_millis()
        ));
        // A genuine letter in every way but its key.
        let letter = hostile.good()?;
        let own = submit_all(&service, vec![prepared((), letter.clone())]).await;
        let own = match own {
            Err(refused) => Ok(refused.to_string()),
            Ok(settled) => match settled[0].disposition {
                Disposition::Refused(code) => Ok(code.to_string()),
                other => Err(format!("{other:?}")),
            },
        };
        self.stolen("the next letter signed by it, at its own node", own);
        let home: AuthorityId = INTERIOR.parse()?;
        let directory = self.services[OTV].directory().current();
        let as_node = session::as_node(&self.federation, &directory, &authority, &home).await?;
        let forward = call::Kind::Forward(wire::Forward {});
        let answer = session::hand_over(&as_node, forward, vec![letter]).await?;
        let code = session::codes(&answer)?[0];
        let forwarded = match Code::from_number(code) {
            Some(code) => Ok(code.to_string()),
            None => Err(format!("code {code}")),
        };
        let what = format!("with the stolen key of {authority}'s node too, at {home}");
        self.stolen(&what, forwarded);
        Ok(())
    }

    /// A letter signed by the stolen key: refused with these words, or not.
    fn stolen(&mut self, what: &str, answer: Result<String, String>) {
        self.tally.hostile += 1;
        match answer {
            Ok(refused) if refused.contains(&Code::KeyNotValid.to_string()) => {
                self.tally.refused += 1;
                self.story.good(&format!("{what}: {refused}"));
            }
            Ok(said) | Err(said) => {
                let said = format!("a revoked key, {what}, was answered {said}");
                self.story.bad(&said);
                self.tally.wrong(said);
            }
        }
    }

    async fn as_service(&self, service: &Service) -> Result<DialledConnection, Trouble> {
        let dialler = Dialler::new(Credential {
            principal: Principal::Service(service.id().clone()),
            key: Arc::clone(service.key()),
        });
        let directory = service.directory().current();
        let node = service.id().authority();
        Ok(reach::connect(&dialler, &directory, node, clock::now()).await?)
    }

    /// The version of the timestamp that is published.
    async fn newest_directory(&self) -> Result<u64, Trouble> {
        let file = self.federation.repository().join("metadata/timestamp.json");
        let timestamp: serde_json::Value = serde_json::from_slice(&fs::read(file)?)?;
        Ok(timestamp["signed"]["version"]
            .as_u64()
            .ok_or("a timestamp has a version")?)
    }

    /// Waits until a node goes by this directory.
    async fn directory_of(&self, of: &str, version: u64) -> Result<(), Trouble> {
        let began = Instant::now();
        loop {
            let status = self.status(of).await?;
            if status["directory"]["versions"]["timestamp"].as_u64() >= Some(version) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{of} does not learn of directory {version}").into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn status(&self, of: &str) -> Result<serde_json::Value, Trouble> {
        let ops = self.federation.node(of).addresses().ops;
        let status = ops::get(ops, "/status").await?;
        Ok(serde_json::from_str(&status.body)?)
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
