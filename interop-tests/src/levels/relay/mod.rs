//! Level 3.
use super::Run;
use crate::config::Config;
pub async fn run(_run: &mut Run<'_>, _config: &Config) {}
