//! Simulated acceleration of a trunk, in milli-g at [`RATE`]: what people do all day, and falls. Simple on purpose; no open
//! recording of real falls was at hand.

use vitals::gatt::Decimal;
use vitals::{Quality, SourceId, Time, Wave, Waveform};

use super::Chance;

/// Samples a second.
pub(crate) const RATE: usize = 50;
pub(crate) const UPRIGHT: [f64; 3] = [0.0, -1.0, 0.0];
pub(crate) const SUPINE: [f64; 3] = [0.0, -0.1, 0.99];
const SIDE: [f64; 3] = [0.98, -0.15, 0.1];
const PRONE: [f64; 3] = [0.05, -0.15, -0.98];

/// A body that moves: samples of three numbers each.
#[derive(Default)]
pub(crate) struct Moved {
    pub(crate) numbers: Vec<i32>,
}

impl Moved {
    /// Seconds so far.
    pub(crate) fn seconds(&self) -> f64 {
        self.numbers.len() as f64 / 3.0 / RATE as f64
    }

    fn sample(&mut self, chance: &mut Chance, down: [f64; 3], weight: f64, shake: f64) {
        for axis in down {
            let value = 1000.0 * (axis * weight + shake * chance.normal());
            self.numbers.push(value as i32);
        }
    }

    /// Rests, standing or lying; breathes.
    pub(crate) fn rest(&mut self, chance: &mut Chance, down: [f64; 3], seconds: f64) {
        for _ in 0..(seconds * RATE as f64) as usize {
            self.sample(chance, down, 1.0, 0.012);
        }
    }

    /// Is busy with something: not still, not violent.
    pub(crate) fn busy(&mut self, chance: &mut Chance, down: [f64; 3], seconds: f64) {
        for _ in 0..(seconds * RATE as f64) as usize {
            self.sample(chance, down, 1.0, 0.12);
        }
    }

    /// Walks (`swing` 0.3) or runs (1.6).
    pub(crate) fn step(&mut self, chance: &mut Chance, swing: f64, seconds: f64) {
        let pace = 1.8 + 0.6 * swing;
        for n in 0..(seconds * RATE as f64) as usize {
            let phase = core::f64::consts::TAU * pace * n as f64 / RATE as f64;
            self.sample(chance, UPRIGHT, 1.0 + swing * libm::sin(phase), 0.08);
        }
    }

    /// Goes down: `free` of the weight for `seconds`, a blow of `peak` g over 60 ms, then as `after`.
    pub(crate) fn drop(
        &mut self,
        chance: &mut Chance,
        (free, seconds): (f64, f64),
        peak: f64,
        after: [f64; 3],
    ) {
        for _ in 0..(seconds * RATE as f64) as usize {
            self.sample(chance, UPRIGHT, free, 0.05);
        }
        for part in [0.5, 1.0, 0.6] {
            self.sample(chance, after, peak * part, 0.1);
        }
        // The body bounces.
        for n in 0..RATE / 2 {
            let sway = 0.4 * libm::exp(-(n as f64) / 8.0);
            self.sample(chance, after, 1.0, sway.max(0.02));
        }
    }

    /// A fall: which way and how hard is chance.
    pub(crate) fn fall(&mut self, chance: &mut Chance) -> [f64; 3] {
        let after = [SUPINE, SIDE, PRONE][(chance.uniform() * 3.0) as usize];
        let free = 0.15 + 0.5 * chance.uniform();
        let (seconds, peak) = (0.3 + 0.25 * chance.uniform(), 2.2 + 4.0 * chance.uniform());
        self.drop(chance, (free, seconds), peak, after);
        after
    }

    /// A few minutes of what people do: one thing after the other, by chance.
    pub(crate) fn live(&mut self, chance: &mut Chance) {
        let length = chance.uniform();
        match (chance.uniform() * 8.0) as usize {
            0 | 1 => self.step(chance, 0.3, 20.0 + 60.0 * length),
            2 => self.step(chance, 1.6, 15.0 + 30.0 * length),
            // Sits down hard, and is still.
            3 => {
                let hard = 1.6 + 1.4 * chance.uniform();
                let free = 0.4 + 0.4 * chance.uniform();
                self.drop(chance, (free, 0.25), hard, UPRIGHT);
                self.rest(chance, UPRIGHT, 60.0);
            }
            // Drops into bed, and is still.
            4 => {
                let hard = 1.4 + 1.3 * chance.uniform();
                let free = 0.5 + 0.35 * chance.uniform();
                self.drop(chance, (free, 0.3), hard, SUPINE);
                self.rest(chance, SUPINE, 90.0);
                self.rest(chance, UPRIGHT, 30.0);
            }
            // Jumps.
            5 => {
                for _ in 0..4 {
                    let peak = 3.0 + 2.0 * chance.uniform();
                    self.drop(chance, (0.1, 0.35), peak, UPRIGHT);
                }
                self.busy(chance, UPRIGHT, 20.0);
            }
            // Lies down slowly, rests, gets up.
            6 => {
                self.busy(chance, UPRIGHT, 2.0);
                self.rest(chance, SIDE, 90.0);
                self.busy(chance, UPRIGHT, 20.0);
            }
            _ => self.busy(chance, UPRIGHT, 60.0),
        }
    }

    /// Blocks of two seconds, from a time on.
    pub(crate) fn blocks(&self, from: Time) -> Vec<Waveform> {
        let mut start = from;
        let blocks = self.numbers.chunks(3 * 2 * RATE).enumerate();
        let block = |(index, numbers): (usize, &[i32])| {
            let block = Waveform {
                wave: Wave::Acceleration,
                source: SourceId(8),
                sequence: index as u64 + 1,
                start,
                received: start,
                rate_millihertz: 1000 * RATE as u32,
                channels: 3,
                step: Decimal {
                    mantissa: 1,
                    exponent: 0,
                },
                numbers: numbers.to_vec(),
                quality: Quality::GOOD,
            };
            start = block.time_of(block.samples());
            block
        };
        blocks.map(block).collect()
    }
}
