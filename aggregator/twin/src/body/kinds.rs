//! Kinds with machines of their own: what is added up, and glucose.

use alloc::vec::Vec;

use vitals::{Kind, Quality, Reading, Time};

use super::Body;
use crate::channel::{Origin, Role, usable};
use crate::fusion::Tallied;
use crate::glucose::Glucose;
use crate::life::Life;
use crate::rule;
use crate::twin::Effect;

impl Body {
    /// Additive kinds: every source counts, whichever leads.
    pub(super) fn tally(&mut self, origin: Origin, reading: &Reading, effective: Time) {
        if let (Some(what), Some(fixed)) = (Tallied::of(reading.kind), usable(reading)) {
            let scale = 10_i64.pow(u32::from(reading.kind.info().decimals));
            let tally = self.tallies.entry(what).or_default();
            let counted = tally.take(reading.kind, origin, fixed.0 / scale, effective);
            if let (Tallied::Steps, Some((steps, over))) = (what, counted) {
                self.motion.take(effective, steps, over);
            }
        }
    }

    /// What the models that watch for one thing make of a reading of the leading source.
    pub(super) fn watch_scalar(
        &mut self,
        reading: &Reading,
        role: Role,
        effective: Time,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let Some(fixed) = usable(reading) else { return };
        let kind = reading.kind;
        let value = fixed.to_f64(kind);
        if !self.watch.is_another() {
            self.watch.daily(kind, effective, value);
        }
        if role != Role::Newest || known.since(effective) >= rule::fresh_for(kind) {
            return;
        }
        let measures = [
            Kind::SystolicPressure,
            Kind::DiastolicPressure,
            Kind::MeanPressure,
        ];
        if measures.contains(&kind) {
            self.cuff(kind, effective, value);
        } else if kind == Kind::BodyTemperature {
            let now = (known, life);
            self.watch
                .temperature(effective, value, reading.quality, now, out);
        } else if !self.motion.explains(known) {
            self.watch
                .breath(kind, effective, value, (known, &mut *life), out);
            self.watch.worn(kind, effective, value, (known, life), out);
        }
    }

    /// One of a cuff's numbers. They come one by one, and belong together by their moment.
    fn cuff(&mut self, kind: Kind, at: Time, value: f64) {
        let cuff = self.cuffs.entry(at).or_default();
        if kind == Kind::SystolicPressure {
            cuff.systolic = Some(value);
        } else if kind == Kind::DiastolicPressure {
            cuff.diastolic = Some(value);
        } else {
            cuff.mean = Some(value);
        }
    }

    /// Glucose of the source that leads.
    #[expect(clippy::too_many_arguments, reason = "what a reading comes with")]
    pub(super) fn sweet(
        &mut self,
        origin: Origin,
        reading: &Reading,
        role: Role,
        effective: Time,
        known: Time,
        life: &mut Life,
        out: &mut Vec<Effect>,
    ) {
        let Some(fixed) = usable(reading) else { return };
        let (kind, quality) = (reading.kind, reading.quality);
        let live = role == Role::Newest
            && !quality.has(Quality::RELEASED)
            && known.since(effective) < rule::fresh_for(kind);
        let value = fixed.to_f64(kind);
        if kind == Kind::BloodGlucose {
            let alone = !self.is_fresh(Kind::InterstitialGlucose, known);
            let said = if live {
                Glucose::spot(effective, value, quality, alone)
            } else {
                Glucose::late_spot(effective, value, quality)
            };
            said.into_iter().for_each(|said| said.to(life, known, out));
            return;
        }
        let glucose = self.glucose.get_or_insert_default();
        if self.glucose_of.is_some_and(|of| of != origin) {
            glucose.restart();
        }
        self.glucose_of = Some(origin);
        for said in glucose.take(effective, value, quality, known, live) {
            said.to(life, known, out);
        }
    }
}
