//! The state, and the one function that changes it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use vitals::Time;

use crate::alert::{Alert, AlertChange};
use crate::event::Event;
use crate::view::{
    ChannelView, Counters, DeviceView, ForecastView, GatewayView, RhythmView, ScoreView,
};

/// What a step yields. Nothing leaves the process before the entry that made it is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// What readers see of the twin changed. At most once per step, and last.
    TwinChanged,
    /// An alert changed. In order; never conflated.
    Alert(Box<AlertChange>),
}

/// One patient's twin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Twin {
    known: Time,
}

/// Fires every deadline `d <= known` in order, each with `now = d`, then applies `event` with `now = known`.
/// `known` must not run backwards; if it does, the twin's own known time stands in.
pub fn step(twin: &mut Twin, event: &Event, known: Time, out: &mut Vec<Effect>) {
    let _ = event;
    twin.known = twin.known.max(known);
    out.push(Effect::TwinChanged);
}

impl Twin {
    /// A twin that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Known time of the last step.
    #[must_use]
    pub const fn known(&self) -> Time {
        self.known
    }

    /// When time alone will next change this twin; append a tick then if nothing else came.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }

    /// Appends the canonical encoding of the whole state: equal states, equal bytes.
    pub fn canonical_bytes(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&crate::FOLD_VERSION.to_be_bytes());
        out.extend_from_slice(&self.known.as_micros().to_be_bytes());
    }

    /// Channels, by kind.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelView> {
        Vec::new()
    }

    /// Scores.
    #[must_use]
    pub fn scores(&self) -> Vec<ScoreView> {
        Vec::new()
    }

    /// Forecasts, also those that abstain.
    #[must_use]
    pub fn forecasts(&self) -> Vec<ForecastView> {
        Vec::new()
    }

    /// What the rhythm model says.
    #[must_use]
    pub fn rhythm(&self) -> RhythmView {
        RhythmView {
            finding: "not enough beats",
            entropy: None,
            cut: 0.639,
            beats: 0,
            source: "",
        }
    }

    /// Sensors, by stream and number.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceView> {
        Vec::new()
    }

    /// Gateways' streams.
    #[must_use]
    pub fn gateways(&self) -> Vec<GatewayView> {
        Vec::new()
    }

    /// Alerts that hold, most urgent first, then oldest first.
    #[must_use]
    pub fn alerts(&self) -> Vec<&Alert> {
        Vec::new()
    }

    /// Sums over all streams, unassigned ones included.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters::default()
    }
}
