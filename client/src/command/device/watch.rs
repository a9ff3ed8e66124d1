//! `pli device watch`: stays connected, shows letters as they come, hands them over if it is told to.

use clap::Args;
use serde_json::json;

use super::super::exit::{Exit, Failed};
use super::super::{Home, stop_signal};
use super::{letter, open, state, texts};
use crate::device::Standing;
use crate::screen::Output;

#[derive(Debug, Args)]
pub(in crate::command) struct WatchArgs {
    #[command(flatten)]
    home: Home,
    /// End after so many letters
    #[arg(long, value_name = "LETTERS")]
    count: Option<u64>,
    /// Hand over to the home what was received, as it comes
    #[arg(long)]
    ack: bool,
}

pub(super) async fn run(args: &WatchArgs, out: Output) -> Result<Exit, Failed> {
    let mut device = open(&args.home, Standing::Working).await?;
    let home = device.home().clone();
    if !out.json {
        eprintln!("{}", texts::WAITING.say(out, &[("home", &home)]));
    }
    let mut watch = device.watch().on_change(move |connected| {
        if out.json {
            let value = json!({ "home": home.to_string(), "connected": connected });
            eprintln!("{value}");
        } else if connected {
            eprintln!("{}", texts::CONNECTED.say(out, &[("home", &home)]));
        } else {
            eprintln!("pli: {}", texts::AWAY.say(out, &[("home", &home)]));
        }
    });
    let mut letters = 0;
    let mut whole = true;
    let ended = loop {
        let entries = tokio::select! {
            entries = watch.next() => entries,
            () = stop_signal() => break Ok(()),
        };
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => break Err(error),
        };
        let mut to_hand_over = Vec::new();
        for letter in watch.device().look(entries).await {
            letters += 1;
            let state = state::state(&letter, out);
            whole &= !state.refused;
            if out.json {
                out.json(&letter::to_json(&letter, false));
            } else {
                letter::announce(&letter, &state, out);
            }
            let seq = letter.entry.numbered.seq;
            to_hand_over.extend(letter.verified().map(|verified| (seq, verified.id())));
        }
        if args.ack
            && let Err(error) = watch.acknowledge(&to_hand_over).await
        {
            // They can be handed over at any later time: pli device ack does so.
            if !error.may_pass() {
                break Err(error);
            }
            eprintln!("pli: {}", texts::HANDED_OVER_LATER.on(out));
        }
        if args.count.is_some_and(|count| letters >= count) {
            break Ok(());
        }
    };
    watch.end();
    device.hang_up().await;
    ended?;
    Ok(if whole { Exit::Done } else { Exit::InPart })
}
