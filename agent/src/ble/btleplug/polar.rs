//! A Polar sensor's control point: what to write next after an answer, and the end of its streams.
//!
//! A sensor that is not told to stop may stream on into its battery. Must not know: what the streams carry.

use std::collections::HashSet;
use std::time::Duration;

use btleplug::api::{Characteristic, Peripheral as _, WriteType};
use btleplug::platform::Peripheral;
use futures_util::FutureExt as _;
use tokio::time::timeout;
use vitals::gatt::{Characteristic as Known, PmdControl, PmdType};

use super::{CALL_TIMEOUT, Task};
use crate::ble::Notification;
use crate::ble::pipe::PolarStream;

/// Real time for all stops of a link that ends: somebody waits.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

impl PolarStream {
    /// What to write to start it.
    pub(super) fn start(self) -> PmdControl {
        match self {
            Self::Ecg => PmdControl::start_ecg(),
            Self::Acceleration => PmdControl::start_acceleration(50),
            Self::Intervals => PmdControl::start_intervals(),
            Self::Light => PmdControl::start_light(),
        }
    }

    const fn what(self) -> PmdType {
        match self {
            Self::Ecg => PmdType::Ecg,
            Self::Acceleration => PmdType::Acceleration,
            Self::Intervals => PmdType::PulseIntervals,
            Self::Light => PmdType::Ppg,
        }
    }
}

fn control(peripheral: &Peripheral) -> Option<Characteristic> {
    let control = Known::PolarControlPoint.uuid();
    let all = peripheral.characteristics();
    all.into_iter()
        .find(|known| known.uuid.as_u128() == control)
}

/// Stops these streams, if the device is one that has them.
pub(super) async fn stop(peripheral: &Peripheral, streams: &[PolarStream]) {
    let Some(control) = control(peripheral).filter(|_| !streams.is_empty()) else {
        return;
    };
    let all = async {
        for stream in streams {
            let Ok(octets) = PmdControl::Stop(stream.what()).encode() else {
                continue;
            };
            let write = peripheral.write(&control, &octets, WriteType::WithResponse);
            if let Err(error) = write.await {
                // The link is down already, and its streams with it.
                tracing::debug!(%error, "a stream could not be stopped");
                return;
            }
        }
    };
    let _late = timeout(STOP_TIMEOUT, all).await;
}

/// The request that follows from an answer, once a stream and link: a sensor that refuses our settings is started
/// with its own.
pub(super) fn answer(
    peripheral: &Peripheral,
    asked: &mut HashSet<u8>,
    value: &Notification,
) -> Option<Task<()>> {
    if value.characteristic != Known::PolarControlPoint.uuid() {
        return None;
    }
    let request = PmdControl::decode(&value.value).ok()?.next_request()?;
    if let PmdControl::GetSettings(what) = &request
        && !asked.insert(what.code())
    {
        return None;
    }
    let (octets, control) = (request.encode().ok()?, control(peripheral)?);
    let peripheral = peripheral.clone();
    Some(
        async move {
            let write = peripheral.write(&control, &octets, WriteType::WithResponse);
            if !matches!(timeout(CALL_TIMEOUT, write).await, Ok(Ok(()))) {
                tracing::debug!("a stream could not be asked for");
            }
        }
        .boxed(),
    )
}
