//! From a sensor's own rate to another: above it the mean of neighbouring samples, then a cubic through
//! four (Catmull-Rom). A peak of a QRS complex at 130 Hz keeps its place to a millisecond.

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Resampler {
    rate_millihertz: u32,
    /// Samples a second that come out.
    to_hertz: u32,
    /// The mean that is being made: sum, samples.
    mean: (f64, u32),
    /// The last four, oldest first.
    last: [f64; 4],
    seen: u64,
    /// Where the next sample lies, in input samples since the run began.
    next: f64,
}

impl Resampler {
    pub(super) fn new(rate_millihertz: u32, to_hertz: u32) -> Self {
        Self {
            rate_millihertz,
            to_hertz,
            ..Self::default()
        }
    }

    /// So many samples are averaged first.
    fn averaged(&self) -> u32 {
        (self.rate_millihertz / (self.to_hertz * 1000).max(1)).max(1)
    }

    /// Seconds since the run began of place `position` of the samples that come out.
    pub(super) fn seconds(&self, position: f64) -> f64 {
        // A mean lies in the middle of what it is of.
        let early = f64::from(self.averaged() - 1) / 2.0;
        position / f64::from(self.to_hertz.max(1))
            + early * 1000.0 / f64::from(self.rate_millihertz.max(1))
    }

    /// Takes a sample; gives what is complete to `out`.
    pub(super) fn take(&mut self, value: f64, mut out: impl FnMut(f64)) {
        let averaged = self.averaged();
        self.mean.0 += value;
        self.mean.1 += 1;
        if self.mean.1 < averaged {
            return;
        }
        let value = self.mean.0 / f64::from(averaged);
        self.mean = (0.0, 0);
        if self.seen == 0 {
            self.last = [value; 4];
        }
        self.last = [self.last[1], self.last[2], self.last[3], value];
        self.seen += 1;
        let step = f64::from(self.rate_millihertz) / f64::from(averaged * self.to_hertz * 1000);
        // Between the second and the third of the four: input places seen - 3 to seen - 2.
        #[expect(
            clippy::cast_precision_loss,
            reason = "a run ends long before 2^52 samples"
        )]
        let begin = self.seen as f64 - 3.0;
        while self.next < begin + 1.0 {
            let x = self.next - begin;
            if x >= 0.0 {
                out(cubic(&self.last, x));
            }
            self.next += step;
        }
    }
}

fn cubic(p: &[f64; 4], x: f64) -> f64 {
    let a = 3.0 * (p[1] - p[2]) + p[3] - p[0];
    let b = 2.0 * p[0] - 5.0 * p[1] + 4.0 * p[2] - p[3];
    p[1] + 0.5 * x * ((p[2] - p[0]) + x * (b + x * a))
}

crate::canonical_fields! {
    Resampler { rate_millihertz, to_hertz, mean, last, seen, next }
}
