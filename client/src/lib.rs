//! What a service, a device and a federation operator do.
//!
//! | Module | Holds |
//! |---|---|
//! | [`partner`] | what administrations send today, converted to content |
//! | [`service`] | an authority's sender: contacts, sealing, submitting, receipts |
//! | [`device`] | a citizen's device: enrolment, grants, inbox, verification |
//! | [`content_json`] | contents as JSON |
//! | [`directory`], [`reach`], [`call`] | whom to believe, how to get there, what to say |
//! | [`federation`], [`authority`] | what operators sign and publish |
//! | [`evidence`] | bundles that prove what happened, made and verified |
//! | [`inspect`] | any object, for people |
//! | [`monitor`] | other nodes' logs, seen from outside |
//! | [`command`], [`screen`] | the `pli` command and what it shows |
//! | [`folder`], [`clock`], [`names`] | the disk, the time, words |

pub mod authority;
mod backoff;
pub mod call;
pub mod clock;
pub mod command;
pub mod content_json;
pub mod device;
pub mod directory;
pub mod evidence;
pub mod federation;
pub mod folder;
pub mod inspect;
pub mod monitor;
pub mod names;
pub mod partner;
pub mod reach;
pub mod screen;
pub mod service;
