//! Pulse waves in light: a103l beside its own electrocardiogram, simulated light with exact truth, and what the rhythm model
//! makes of either. Beside each figure the trivial way, or the same without anything refused.

use twin::ppg::Finder;
use twin::rhythm::{self, Beats, Judgement, LIGHT_HOLD};
use twin::signal::Beat;

use super::support::Chance;
use super::support::electric;
use super::support::optic::{self, Beside, Worn};
use super::support::recorded::{self, Light};
use super::{Aim, Figure, Section, Wanted};

pub(super) fn report(wanted: &Wanted) -> Vec<Section> {
    let folder = wanted.recordings.join("wfdb_sample");
    let recorded = if folder.exists() {
        let of = optic::challenge(&folder);
        let mut section = Section::new(
            "Pulse waves: Challenge 2015 a103l",
            format!(
                "250 Hz, one person in intensive care. No reference beats come with it: they are those of our own QRS detection, in the {} of {:.0} s in which both leads have the same ({} beats), at the best lag, within 150 ms.",
                of.seconds, of.of_seconds, of.beats
            ),
        );
        section.figures = vec![
            Figure::new("F1 of what is believed", of.beside.believed, "%").aims(Aim::Least(98.0)),
            Figure::new("time that is believed", 100.0 * of.told, "%").aims(Aim::Least(80.0)),
            Figure::new("F1 if nothing is refused", of.everything, "%")
                .beside("fixed threshold", of.trivial),
        ];
        section.figures.extend(intervals("", &of.beside));
        section
    } else {
        Section::absent("Pulse waves: Challenge 2015 a103l", &folder)
    };
    vec![recorded, simulated(), irregular(wanted.people)]
}

fn intervals(name: &str, of: &Beside) -> [Figure; 3] {
    [
        Figure::new(
            format!("error of intervals{name}, deviation"),
            of.error,
            "ms",
        ),
        Figure::new(
            format!("error of intervals{name}, 95 in 100"),
            of.error_95,
            "ms",
        ),
        Figure::new(
            format!("intervals within their bound{name}"),
            of.within,
            "%",
        )
        .aims(Aim::Least(95.0)),
    ]
}

fn simulated() -> Section {
    let mut section = Section::new(
        "Pulse waves: simulated",
        "Exact truth, 10 min each. Movement: 0.5 to 5 Hz in stretches of 3 to 12 s, a third of the time, as high as so many pulses. Cold: a twentieth of the pulse in the same noise.",
    );
    for rate in [25.0, 55.0, 130.0, 250.0] {
        for irregular in [false, true] {
            let rhythm = if irregular { "without order" } else { "sinus" };
            for (worn, moved, how) in [
                (Worn::WELL, 0.0, ""),
                (Worn::COLD, 0.0, ", cold"),
                (Worn::WELL, 1.0, ", moved 1"),
                (Worn::WELL, 3.0, ", moved 3"),
            ] {
                let mut chance = Chance(13);
                let truth = electric::beats(&mut chance, 600.0, irregular);
                let mut signal = optic::signal(&mut chance, &truth, 600.0, rate, worn);
                if moved > 0.0 {
                    optic::moved(&mut chance, &mut signal, rate, moved);
                }
                let name = format!(", {rate} Hz {rhythm}{how}");
                let found = recorded::light(Finder::default(), &signal, rate);
                let all = recorded::light(Finder::that_believes_all(), &signal, rate);
                let of = Beside::of(&found, &truth);
                let all = Beside::of(&all, &truth).all;
                let trivial = optic::trivial_beside(&signal, rate, &truth);
                section.figures.extend([
                    Figure::new(format!("F1 of what is believed{name}"), of.believed, "%")
                        .aims(Aim::Least(98.0)),
                    Figure::new(
                        format!("time that is believed{name}"),
                        100.0 * found.told(),
                        "%",
                    ),
                    Figure::new(format!("F1 if nothing is refused{name}"), all, "%")
                        .beside("fixed threshold", trivial),
                ]);
                section.figures.extend(intervals(&name, &of));
            }
        }
    }
    section
}

/// Half an hour of each, worn by hearts without fibrillation and with it: alerts of the model that light has.
fn irregular(people: u64) -> Section {
    let mut section = Section::new(
        "Irregular pulse by light: simulated",
        format!(
            "{people} people a line, half an hour each at 55 Hz. The baseline: the same model and the same time, where nothing is refused."
        ),
    );
    for (rhythm, name) in [
        (Rhythm::Sinus, "sinus"),
        (Rhythm::Early, "one beat in ten early"),
        (Rhythm::None, "fibrillation"),
    ] {
        for (moved, how) in [(0.0, "still"), (1.0, "moved 1"), (3.0, "moved 3")] {
            let (mut told, mut told_of_all) = (0, 0);
            for person in 0..people {
                let mut chance = Chance(1000 + person);
                let truth = rhythm.beats(&mut chance, 1800.0);
                let mut signal = optic::signal(&mut chance, &truth, 1800.0, 55.0, Worn::WELL);
                if moved > 0.0 {
                    optic::moved(&mut chance, &mut signal, 55.0, moved);
                }
                let is_told = |finder| u64::from(holds(&recorded::light(finder, &signal, 55.0)));
                told += is_told(Finder::default());
                told_of_all += is_told(Finder::that_believes_all());
            }
            let share = 100.0 * told_of_all as f64 / people.max(1) as f64;
            section.figures.push(
                Figure::share(format!("told, {name}, {how}"), told, people)
                    .beside("nothing refused", share),
            );
        }
    }
    section
}

#[derive(Clone, Copy)]
enum Rhythm {
    Sinus,
    Early,
    None,
}

impl Rhythm {
    fn beats(self, chance: &mut Chance, seconds: f64) -> Vec<f64> {
        let usual = 0.7 + 0.3 * chance.uniform();
        let breath = 0.01 + 0.05 * chance.uniform();
        let (mut times, mut at, mut early) = (Vec::new(), 0.5, false);
        while at < seconds - 1.0 {
            times.push(at);
            let steady = usual + breath * libm::sin(1.6 * at) + 0.006 * chance.normal();
            let premature = matches!(self, Self::Early) && !early && chance.uniform() < 0.1;
            at += match self {
                Self::None => usual * (0.55 + 0.8 * chance.uniform()),
                Self::Sinus | Self::Early if premature => 0.6 * steady,
                // The pause that makes up for it.
                Self::Sinus | Self::Early if early => 1.4 * steady,
                Self::Sinus | Self::Early => steady,
            };
            early = premature;
        }
        times
    }
}

/// Whether the model would have told somebody.
fn holds(light: &Light) -> bool {
    let mut kept = Beats::default();
    light.beats.iter().any(|beat: &Beat| {
        kept.take(rhythm::Beat {
            at: beat.at,
            tenth_ms: beat.tenth_ms,
            sequence: beat.number,
            run: beat.run,
        });
        matches!(kept.judgement(LIGHT_HOLD), Judgement::Holds { .. })
    })
}
