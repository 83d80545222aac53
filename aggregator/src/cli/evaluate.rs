//! `evaluate`: how good the models are, printed as it becomes known, and as one page.
//!
//! Must not know: how anything is evaluated.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::print;
use crate::evaluate::{self, Part, Wanted};

/// What to evaluate.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder of recordings. Default: `recordings` in VITALTWIN_SHARED, or in ../shared. What is absent is said.
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
    /// Write the whole report into this file: one page that needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Simulated people a line; fewer are faster, and say less.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    people: u64,
    /// This part only: rhythm, beats, glucose, forecast, watch, lives, artefacts (repeat it for more).
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
}

pub(super) fn run(asked: &Arguments) -> Result<()> {
    let only = asked.only.clone();
    let wanted = Wanted {
        recordings: asked
            .recordings
            .clone()
            .unwrap_or_else(evaluate::recordings),
        people: asked.people,
        parts: if only.is_empty() {
            Part::ALL.into()
        } else {
            only
        },
    };
    // Standard output may be closed: the page is written all the same, and the status tells.
    let mut printed = Ok(());
    let sections = evaluate::run(&wanted, |section| {
        let text = evaluate::text(section) + "\n";
        printed = std::mem::replace(&mut printed, Ok(())).and_then(|()| print(&text));
    });
    if let Some(file) = &asked.html {
        let version = format!(
            "Version {}, fold version {}, {} simulated people a line.",
            env!("CARGO_PKG_VERSION"),
            twin::FOLD_VERSION,
            wanted.people
        );
        let page = evaluate::html(&sections, &version);
        std::fs::write(file, page).with_context(|| file.display().to_string())?;
    }
    printed
}
