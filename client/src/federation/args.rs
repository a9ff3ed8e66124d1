//! The arguments of `pli federation`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pli_protocol::id::AuthorityId;
use pli_protocol::trust::{AlertGrant, Token};

use super::keys::KeyOption;

/// Run a federation: who takes part and what each may do.
#[derive(Clone, Debug, Subcommand)]
pub enum FederationCommand {
    /// Make a federation: keys, the first root, an empty list of authorities.
    ///
    /// Without --root, --targets, --snapshot or --timestamp the keys of that role are made in --keys:
    /// offline/ and online/ apart, so that offline/ can be taken away.
    Init {
        #[command(flatten)]
        dir: Dir,
        /// Where keys that are made go.
        #[arg(long, default_value = "keys")]
        keys: PathBuf,
        /// A root key (ed25519:…, .pub or .key file); repeat for each holder.
        #[arg(long)]
        root: Vec<KeyOption>,
        /// How many root keys to make.
        #[arg(long, default_value_t = 3, conflicts_with = "root")]
        root_keys: usize,
        /// How many root keys must sign.
        #[arg(long, default_value_t = 2)]
        root_threshold: usize,
        /// A key of the federation's offline role; repeat.
        #[arg(long)]
        targets: Vec<KeyOption>,
        /// How many such keys to make.
        #[arg(long, default_value_t = 3, conflicts_with = "targets")]
        targets_keys: usize,
        /// How many of them must sign.
        #[arg(long, default_value_t = 2)]
        targets_threshold: usize,
        /// The online key that signs snapshots.
        #[arg(long)]
        snapshot: Option<KeyOption>,
        /// The online key that signs timestamps.
        #[arg(long)]
        timestamp: Option<KeyOption>,
        #[command(flatten)]
        sign: Sign,
        #[command(flatten)]
        lifetimes: LifetimeArgs,
    },
    /// Take an authority in, from its hand-over (pli authority publish).
    AddAuthority {
        /// The hand-over's directory.
        handover: PathBuf,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        grants: GrantArgs,
        /// The authority is in already: give its own role the keys of this hand-over instead.
        #[arg(long)]
        replace_keys: bool,
        #[command(flatten)]
        sign: Sign,
    },
    /// Change what an authority may do.
    Grant {
        /// Whom.
        authority: AuthorityId,
        #[command(flatten)]
        dir: Dir,
        #[command(flatten)]
        grants: GrantArgs,
        #[command(flatten)]
        sign: Sign,
    },
    /// Suspend an authority from now on; what it signed before stays verifiable.
    Suspend {
        /// Whom.
        authority: AuthorityId,
        #[command(flatten)]
        dir: Dir,
        /// Take it back instead.
        #[arg(long)]
        lift: bool,
        #[command(flatten)]
        sign: Sign,
    },
    /// Change what holds for the whole federation.
    Policy {
        #[command(flatten)]
        dir: Dir,
        /// How many other authorities' nodes must have cosigned a node's log before the evidence in it is final.
        #[arg(long)]
        witnesses: usize,
        #[command(flatten)]
        sign: Sign,
    },
    /// Sign the next root: other keys for a role, or the same for another term.
    ///
    /// Needs the threshold of the root keys of before and of those after.
    RotateRoot {
        #[command(flatten)]
        dir: Dir,
        /// A root key from now on; repeat. Those not named are no longer root keys.
        #[arg(long)]
        root: Vec<KeyOption>,
        /// How many root keys must sign from now on.
        #[arg(long, requires = "root")]
        root_threshold: Option<usize>,
        /// A key of the federation's offline role from now on; repeat.
        #[arg(long)]
        targets: Vec<KeyOption>,
        /// How many of them must sign from now on.
        #[arg(long, requires = "targets")]
        targets_threshold: Option<usize>,
        /// The online key that signs snapshots from now on.
        #[arg(long)]
        snapshot: Option<KeyOption>,
        /// The online key that signs timestamps from now on.
        #[arg(long)]
        timestamp: Option<KeyOption>,
        #[command(flatten)]
        sign: Sign,
    },
    /// Add a holder's signature to what is staged.
    Sign {
        #[command(flatten)]
        dir: Dir,
        /// The holder's secret key file, or a directory of them; repeat.
        #[arg(long = "key", required = true)]
        key: Vec<PathBuf>,
    },
    /// Publish what is staged, with the online keys; also to be run daily.
    Publish {
        #[command(flatten)]
        dir: Dir,
        /// An authority's hand-over to take in; repeat.
        #[arg(long)]
        from: Vec<PathBuf>,
        /// Tolerate published example keys.
        #[arg(long)]
        dev: bool,
        /// An online secret key file, or a directory of them; repeat.
        #[arg(long = "key", required = true)]
        key: Vec<PathBuf>,
    },
    /// Show the authorities, the versions and the expiries.
    Show {
        #[command(flatten)]
        dir: Dir,
    },
}

/// The workspace.
#[derive(Args, Clone, Debug)]
pub struct Dir {
    /// The federation's workspace.
    #[arg(long, default_value = "federation")]
    pub dir: PathBuf,
}

/// What to sign with.
#[derive(Args, Clone, Debug)]
pub struct Sign {
    /// A secret key file to sign with, or a directory of them; repeat until the threshold is met.
    #[arg(long = "key")]
    pub key: Vec<PathBuf>,
    /// Other holders sign later, where they are, with: pli federation sign
    #[arg(long)]
    pub partial: bool,
}

/// For how many days each signature holds.
#[derive(Args, Clone, Copy, Debug)]
pub struct LifetimeArgs {
    /// Days that a root holds.
    #[arg(long, default_value_t = 365)]
    pub root_days: u64,
    /// Days that the list of authorities holds.
    #[arg(long, default_value_t = 180)]
    pub targets_days: u64,
    /// Days that a snapshot holds.
    #[arg(long, default_value_t = 7)]
    pub snapshot_days: u64,
    /// Days that a timestamp holds: how long stolen online keys could freeze the directory.
    #[arg(long, default_value_t = 3)]
    pub timestamp_days: u64,
}

/// What an authority may do. An option that is not given leaves things as they are.
#[derive(Args, Clone, Debug, Default)]
pub struct GrantArgs {
    /// Its name in French, with --name-en.
    #[arg(long, requires = "name_en")]
    pub name_fr: Option<String>,
    /// Its name in English, with --name-fr.
    #[arg(long, requires = "name_fr")]
    pub name_en: Option<String>,
    /// Whether it may keep citizens' mailboxes.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub host: Option<bool>,
    /// Whether it may ask homes for a citizen by identity.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub lookup: Option<bool>,
    /// An alert it may raise: event, or event=cosigner,cosigner; repeat. Replaces those of before.
    #[arg(long, value_parser = alert)]
    pub alert: Vec<AlertGrant>,
    /// A legal basis it may cite; repeat. Replaces those of before.
    #[arg(long)]
    pub legal_basis: Vec<Token>,
    /// Envelopes of one of its services in a minute. Any quota given replaces all of before.
    #[arg(long)]
    pub envelopes_per_minute: Option<u64>,
    /// Envelopes of one of its services in a day.
    #[arg(long)]
    pub envelopes_per_day: Option<u64>,
    /// Its look-ups in a day.
    #[arg(long)]
    pub lookups_per_day: Option<u64>,
}

fn alert(text: &str) -> Result<AlertGrant, String> {
    let (event, cosigners) = text.split_once('=').unwrap_or((text, ""));
    let event = event.parse().map_err(|problem| format!("{problem}"))?;
    let cosigners = cosigners
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| AuthorityId::new(name).map_err(|problem| problem.to_string()));
    Ok(AlertGrant {
        event,
        cosigners: cosigners.collect::<Result<_, _>>()?,
    })
}
