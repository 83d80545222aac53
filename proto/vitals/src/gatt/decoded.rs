//! Every value that [`super::decode`] can give, and the way back to octets.

use alloc::vec::Vec;

use super::{
    BatteryLevel, BloodPressure, BodyComposition, BodyLocation, CgmControl, CgmFeatures, CgmRecord,
    CgmRunTime, CgmSessionStart, CgmStatus, Continuous, CurrentTime, DateTime, DeviceText,
    ElapsedTime, EncodeError, EnhancedBloodPressure, EnhancedCuffPressure, GlucoseContext,
    GlucoseFeatures, GlucoseMeasurement, HeartRateControl, HeartRateMeasurement, LocalTimeInfo,
    MeasurementInterval, MiScale, OximeterFeatures, PmdControl, PmdFrame, PnpId, RecordAccess,
    ReferenceTime, Segment, SpotCheck, StepCount, SystemId, TemperatureMeasurement,
    TemperatureType, UartPiece, WeightMeasurement,
};

/// A decoded characteristic value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// 2A37.
    HeartRate(HeartRateMeasurement),
    /// 2A38.
    BodyLocation(BodyLocation),
    /// 2A39.
    HeartRateControl(HeartRateControl),
    /// 2A5E.
    SpotCheck(SpotCheck),
    /// 2A5F.
    Continuous(Continuous),
    /// 2A60.
    OximeterFeatures(OximeterFeatures),
    /// 2A1C.
    Temperature(TemperatureMeasurement),
    /// 2A1E.
    IntermediateTemperature(TemperatureMeasurement),
    /// 2A1D.
    TemperatureType(TemperatureType),
    /// 2A21.
    MeasurementInterval(MeasurementInterval),
    /// 2A35.
    BloodPressure(BloodPressure),
    /// 2A36.
    CuffPressure(BloodPressure),
    /// 2B34.
    EnhancedBloodPressure(EnhancedBloodPressure),
    /// 2B35.
    EnhancedCuffPressure(EnhancedCuffPressure),
    /// 2A18.
    Glucose(GlucoseMeasurement),
    /// 2A34.
    GlucoseContext(GlucoseContext),
    /// 2A51.
    GlucoseFeatures(GlucoseFeatures),
    /// 2A52.
    RecordAccess(RecordAccess),
    /// 2AA7; at least one record.
    Cgm(Vec<CgmRecord>),
    /// 2AA8.
    CgmFeatures(CgmFeatures),
    /// 2AA9.
    CgmStatus(CgmStatus),
    /// 2AAA.
    CgmSessionStart(CgmSessionStart),
    /// 2AAB.
    CgmRunTime(CgmRunTime),
    /// 2AAC.
    CgmControl(CgmControl),
    /// 2A9D.
    Weight(WeightMeasurement),
    /// 2A9C.
    BodyComposition(BodyComposition),
    /// 2A9C of a Mi scale.
    MiScale(MiScale),
    /// 2A19.
    Battery(BatteryLevel),
    /// 2A24 to 2A29.
    Text(DeviceText),
    /// 2A23.
    SystemId(SystemId),
    /// 2A50.
    PnpId(PnpId),
    /// 2A08.
    DateTime(DateTime),
    /// 2A2B.
    CurrentTime(CurrentTime),
    /// 2A0F.
    LocalTimeInfo(LocalTimeInfo),
    /// 2A14.
    ReferenceTime(ReferenceTime),
    /// FB005C81.
    PolarControl(PmdControl),
    /// FB005C82.
    Polar(PmdFrame),
    /// 2B8B.
    Health(Segment),
    /// 2BDD.
    StoredHealth(Segment),
    /// 2BF2.
    ElapsedTime(ElapsedTime),
    /// A piece of a Bangle.js line.
    Uart(UartPiece),
    /// Step count of the `InfiniTime` motion service.
    Steps(StepCount),
}

impl Decoded {
    /// The octets that decode to this value.
    ///
    /// # Errors
    /// A field that does not fit its place (never for what [`super::decode`] gave).
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::HeartRate(value) => value.encode(),
            Self::BodyLocation(value) => Ok(value.encode()),
            Self::HeartRateControl(value) => Ok(value.encode()),
            Self::SpotCheck(value) => value.encode(),
            Self::Continuous(value) => value.encode(),
            Self::OximeterFeatures(value) => value.encode(),
            Self::Temperature(value) | Self::IntermediateTemperature(value) => value.encode(),
            Self::TemperatureType(value) => Ok(value.encode()),
            Self::MeasurementInterval(value) => Ok(value.encode()),
            Self::BloodPressure(value) | Self::CuffPressure(value) => value.encode(),
            Self::EnhancedBloodPressure(value) => value.encode(),
            Self::EnhancedCuffPressure(value) => value.encode(),
            Self::Glucose(value) => value.encode(),
            Self::GlucoseContext(value) => value.encode(),
            Self::GlucoseFeatures(value) => Ok(value.encode()),
            Self::RecordAccess(value) => value.encode(),
            Self::Cgm(records) => CgmRecord::encode(records),
            Self::CgmFeatures(value) => value.encode(),
            Self::CgmStatus(value) => value.encode(),
            Self::CgmSessionStart(value) => value.encode(),
            Self::CgmRunTime(value) => value.encode(),
            Self::CgmControl(value) => value.encode(),
            Self::Weight(value) => value.encode(),
            Self::BodyComposition(value) => value.encode(),
            Self::MiScale(value) => value.encode(),
            Self::Battery(value) => value.encode(),
            Self::Text(value) => Ok(value.encode()),
            Self::SystemId(value) => value.encode(),
            Self::PnpId(value) => value.encode(),
            Self::DateTime(value) => Ok(value.to_octets().into()),
            Self::CurrentTime(value) => value.encode(),
            Self::LocalTimeInfo(value) => Ok(value.encode()),
            Self::ReferenceTime(value) => Ok(value.encode()),
            Self::PolarControl(value) => value.encode(),
            Self::Polar(value) => value.encode(),
            Self::Health(value) | Self::StoredHealth(value) => value.encode(),
            Self::ElapsedTime(value) => value.encode(),
            Self::Uart(value) => Ok(value.encode()),
            Self::Steps(value) => Ok(value.encode()),
        }
    }
}
