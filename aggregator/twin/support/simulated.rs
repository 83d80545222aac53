//! Simulated saturation and heart rate, one reading a second: what forecasts are tuned and reported on.
//! Simple on purpose, and not the project's patient simulator, so that the models do not learn its habits.

use super::Chance;

/// How a stable signal wanders, and what the sensor adds.
#[derive(Clone, Copy)]
pub(crate) struct Nature {
    /// Standard deviation of the wander (an Ornstein-Uhlenbeck process).
    pub(crate) wander: f64,
    /// Its time constant, seconds.
    pub(crate) tau: f64,
    /// White noise of the sensor.
    pub(crate) noise: f64,
    /// The sensor's resolution.
    pub(crate) step: f64,
    /// Artefacts (5-20 s, 3-20 % too low) per hour.
    pub(crate) artefacts: f64,
    /// Missing readings (10-60 s) per hour.
    pub(crate) gaps: f64,
}

/// A fall: begin (s), length (s), depth, and its form.
#[derive(Clone, Copy)]
pub(crate) struct Fall {
    pub(crate) begin: f64,
    pub(crate) length: f64,
    pub(crate) depth: f64,
    pub(crate) form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Linear,
    Sigmoid,
    Exponential,
}

impl Fall {
    pub(crate) fn at(&self, second: f64) -> f64 {
        let x = ((second - self.begin) / self.length).clamp(0.0, 1.0);
        let y = match self.form {
            Form::Linear => x,
            Form::Sigmoid => x * x * (3.0 - 2.0 * x),
            Form::Exponential => (1.0 - libm::exp(-3.0 * x)) / (1.0 - libm::exp(-3.0)),
        };
        self.depth * y
    }
}

/// Truth and reading (if any) for each second.
pub(crate) fn series(
    chance: &mut Chance,
    seconds: usize,
    mean: f64,
    nature: Nature,
    fall: Option<Fall>,
    range: (f64, f64),
) -> Vec<(f64, Option<f64>)> {
    let keep = libm::exp(-1.0 / nature.tau);
    let kick = nature.wander * (1.0 - keep * keep).sqrt();
    let mut wander = nature.wander * chance.normal();
    let (mut artefact, mut gap) = ((0usize, 0.0), 0usize);
    let mut out = Vec::with_capacity(seconds);
    for second in 0..seconds {
        wander = keep * wander + kick * chance.normal();
        let truth = (mean + wander - fall.map_or(0.0, |fall| fall.at(second as f64)))
            .clamp(range.0, range.1);
        if artefact.0 == 0 && chance.uniform() < nature.artefacts / 3600.0 {
            artefact = (
                5 + (chance.uniform() * 16.0) as usize,
                3.0 + chance.uniform() * 17.0,
            );
        }
        if gap == 0 && chance.uniform() < nature.gaps / 3600.0 {
            gap = 10 + (chance.uniform() * 50.0) as usize;
        }
        let off = if artefact.0 > 0 { artefact.1 } else { 0.0 };
        let value = truth + nature.noise * chance.normal() - off;
        let value = ((value / nature.step).round() * nature.step).clamp(range.0, range.1);
        out.push((truth, (gap == 0).then_some(value)));
        artefact.0 = artefact.0.saturating_sub(1);
        gap = gap.saturating_sub(1);
    }
    out
}
