//! What a campaign leaves on disk: results, then the state that counts them, then what failed.

use std::path::PathBuf;

use super::failed;
use super::faults;
use super::results::ResultsFile;
use super::run::{Campaign, CampaignError, Progress};
use super::state::{State, StateFile};
use super::window::Slot;

/// What is on disk of a campaign.
pub(super) struct Record {
    pub(super) state_file: Option<StateFile>,
    pub(super) state: State,
    pub(super) results: Option<ResultsFile>,
}

impl Record {
    /// First the results, then the state that counts them.
    pub(super) fn write(&mut self, settled: Vec<Slot>) -> Result<(), CampaignError> {
        let mut lines = Vec::new();
        for slot in &settled {
            let outcome = slot.outcome.as_ref().expect("popped because it is settled");
            outcome.count(&mut self.state.counts);
            faults::count(&mut self.state.faults, slot.line, outcome);
            if let Some(json) = outcome.to_json(slot.line, slot.to.as_deref()) {
                serde_json::to_writer(&mut lines, &json).expect("a vector takes everything");
                lines.push(b'\n');
            }
        }
        if let Some(results) = &mut self.results {
            self.state.results_bytes = results.append(&lines)?;
        }
        if let Some(last) = settled.last() {
            self.state.lines = last.line;
            self.state.bytes = last.end;
            if let Some(state_file) = &mut self.state_file {
                state_file.settle(last.sent.clone());
                state_file.write(&self.state)?;
            }
        }
        Ok(())
    }

    pub(super) fn progress(&self, of_bytes: Option<u64>) -> Progress {
        let State {
            lines,
            bytes,
            counts,
            ..
        } = self.state;
        Progress {
            lines,
            bytes,
            of_bytes,
            counts,
        }
    }

    /// Writes out the lines that failed since this was done last, then says so in the state. Gives
    /// the file, or the one that an earlier run left.
    pub(super) fn write_failed(
        &mut self,
        campaign: &Campaign,
    ) -> Result<Option<PathBuf>, CampaignError> {
        let (Some(file), Some(results), Some(state_file)) =
            (&campaign.file, &campaign.results, &mut self.state_file)
        else {
            return Ok(None);
        };
        if self.state.counts.refused + self.state.counts.invalid == 0 {
            return Ok(None);
        }
        if self.state.failed_through == self.state.lines {
            let left = failed::path(file, 0);
            return Ok(left.exists().then_some(left));
        }
        let written = failed::write(file, results, &self.state)?;
        self.state.failed_through = self.state.lines;
        state_file.write(&self.state)?;
        Ok(written)
    }
}
