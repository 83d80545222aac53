//! How good the models are, on recordings where there are some and on simulated people: every figure with its interval, beside a
//! trivial baseline and the aim, as text and as one page.
//!
//! Everything goes through the fold that a running centre uses (`support::fold`). In the order of the report: `rhythm`,
//! `beats` (and `light`), `glucose`, `forecast`, `watch` (models that watch for one thing), `lives` (all rules together) and
//! `artefacts` (what sensors do wrong; its score is held by a test). `page` draws.
//!
//! Promises: the same recordings and sizes give the same report. Nothing is tuned here. Must not know: centres, stores.

mod artefacts;
mod beats;
mod forecast;
mod glucose;
mod light;
mod lives;
mod page;
mod rhythm;
#[path = "../../twin/support/mod.rs"]
mod support;
#[cfg(test)]
mod tests;
mod watch;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use page::html;
pub(crate) use support::recorded::bootstrap;
pub(crate) use support::recordings;

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Atrial fibrillation.
    Rhythm,
    /// Heart beats in electrocardiograms and in light.
    Beats,
    /// Glucose.
    Glucose,
    /// Forecasts of saturation and heart rate.
    Forecast,
    /// Models that watch for one thing each.
    Watch,
    /// All rules together on simulated lives.
    Lives,
    /// What sensors do wrong.
    Artefacts,
}

impl Part {
    /// All, in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::Rhythm,
        Self::Beats,
        Self::Glucose,
        Self::Forecast,
        Self::Watch,
        Self::Lives,
        Self::Artefacts,
    ];

    /// As arguments say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rhythm => "rhythm",
            Self::Beats => "beats",
            Self::Glucose => "glucose",
            Self::Forecast => "forecast",
            Self::Watch => "watch",
            Self::Lives => "lives",
            Self::Artefacts => "artefacts",
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|of| of.name() == text);
        found.ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(", ");
            format!("{text} is no part of the report: give one of {all}")
        })
    }
}

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    /// At least.
    Least(f64),
    /// At most.
    Most(f64),
}

impl Aim {
    fn words(self) -> String {
        let (word, value) = match self {
            Self::Least(least) => ("at least", least),
            Self::Most(most) => ("at most", most),
        };
        let digits = if value.fract() == 0.0 { 0 } else { 2 };
        format!("{word} {value:.digits$}")
    }
}

/// A figure with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is of.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// 95 % interval; none where there is nothing to draw again.
    pub interval: Option<(f64, f64)>,
    /// Its unit.
    pub unit: &'static str,
    /// The same of a trivial or former method.
    pub baseline: Option<(&'static str, f64)>,
    /// What is aimed at.
    pub aim: Option<Aim>,
}

impl Figure {
    fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            value,
            interval: None,
            unit,
            baseline: None,
            aim: None,
        }
    }

    fn within(mut self, interval: (f64, f64)) -> Self {
        self.interval = Some(interval);
        self
    }

    fn beside(mut self, name: &'static str, value: f64) -> Self {
        self.baseline = Some((name, value));
        self
    }

    fn aims(mut self, aim: Aim) -> Self {
        self.aim = Some(aim);
        self
    }

    /// A share of `of`, in per cent, with its interval by Wilson.
    fn share(what: impl Into<String>, hits: u64, of: u64) -> Self {
        let what = format!("{} ({hits} of {of})", what.into());
        let value = 100.0 * hits as f64 / of.max(1) as f64;
        Self::new(what, value, "%").within(support::recorded::wilson(hits, of))
    }

    /// A mean over people, with its interval by drawing them again.
    fn mean(what: impl Into<String>, of: &[f64], unit: &'static str) -> Self {
        let mean = |of: &[&f64]| of.iter().copied().sum::<f64>() / of.len() as f64;
        let value = mean(&of.iter().collect::<Vec<_>>());
        Self::new(what, value, unit).within(support::recorded::bootstrap(of, mean))
    }

    /// Whether the aim is reached, if there is one.
    #[must_use]
    pub fn reached(&self) -> Option<bool> {
        self.aim.map(|aim| match aim {
            Aim::Least(least) => self.value >= least,
            Aim::Most(most) => self.value <= most,
        })
    }
}

/// A section of the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// On whom, and what to know before reading.
    pub about: String,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Inline pictures.
    pub pictures: Vec<String>,
}

impl Section {
    fn new(title: impl Into<String>, about: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            about: about.into(),
            figures: Vec::new(),
            pictures: Vec::new(),
        }
    }

    /// The section of recordings that are not there.
    fn absent(title: &str, folder: &Path) -> Self {
        Self::new(title, format!("Skipped: {} is absent.", folder.display()))
    }
}

/// What is evaluated, and how thoroughly.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The folder of recordings.
    pub recordings: PathBuf,
    /// Simulated people a line.
    pub people: u64,
    /// Parts.
    pub parts: Vec<Part>,
}

/// Evaluates; `ready` hears of each section when it is done.
pub fn run(wanted: &Wanted, mut ready: impl FnMut(&Section)) -> Vec<Section> {
    let mut sections = Vec::new();
    for part in &wanted.parts {
        let done = match part {
            Part::Rhythm => rhythm::report(wanted),
            Part::Beats => {
                let mut sections = beats::report(wanted);
                sections.extend(light::report(wanted));
                sections
            }
            Part::Glucose => glucose::report(wanted),
            Part::Forecast => forecast::report(wanted),
            Part::Watch => watch::report(wanted),
            Part::Lives => lives::report(wanted),
            Part::Artefacts => artefacts::report(wanted),
        };
        done.iter().for_each(&mut ready);
        sections.extend(done);
    }
    sections
}

/// A section as text.
#[must_use]
pub fn text(section: &Section) -> String {
    let mut text = format!("{}\n  {}\n", section.title, section.about);
    for figure in &section.figures {
        let unit = figure.unit;
        let _ = write!(text, "  {:<70} {:>9.2} {unit}", figure.what, figure.value);
        if let Some((low, high)) = figure.interval {
            let _ = write!(text, "  (95 %: {low:.2} to {high:.2})");
        }
        if let Some((name, value)) = figure.baseline {
            let _ = write!(text, "  {name}: {value:.2}");
        }
        if let Some(aim) = figure.aim {
            let _ = write!(text, "  aim: {}", aim.words());
        }
        text.push_str(match figure.reached() {
            Some(true) => ", reached",
            Some(false) => ", NOT reached",
            None => "",
        });
        text.push('\n');
    }
    text
}
