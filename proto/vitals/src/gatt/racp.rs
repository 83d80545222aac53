//! Record Access Control Point 2A52: how a collector asks a device for the records that it stored (GLS 1.0.1,
//! CGMS 1.0.2, PLXS 1.0.1, GHSS 1.0 share it).
//!
//! We ask for what is newer than what we have, count, and abort. Nobody here ever asks a device to delete:
//! the request is decoded (a simulated device must be able to refuse it), and no helper makes one.

use alloc::vec::Vec;

use super::date_time::DateTime;
use super::fields::{Field, Fields};
use super::octets::{Builder, Octets};
use super::{DecodeError, EncodeError, coded};

const NULL: u8 = 0;
const ALL: u8 = 1;
const AT_MOST: u8 = 2;
const AT_LEAST: u8 = 3;
const WITHIN: u8 = 4;
const FIRST: u8 = 5;
const LAST: u8 = 6;

const BY_SEQUENCE: u8 = 1;
const BY_TIME: u8 = 2;

coded! {
    /// What a device is asked or answers.
    RecordOp {
        /// Send records.
        Report = 1 => "report stored records",
        /// Delete records.
        Delete = 2 => "delete stored records",
        /// Stop what is going on.
        Abort = 3 => "abort operation",
        /// Count records.
        Count = 4 => "report number of stored records",
        /// How many there are.
        Counted = 5 => "number of stored records response",
        /// How it went.
        Response = 6 => "response code",
        /// Send records, those sent already included in their merged form.
        CombinedReport = 7 => "combined report",
        /// How many were sent.
        CombinedReportResponse = 8 => "combined report response",
    }
}

coded! {
    /// How a request went.
    RecordOutcome {
        /// Done: every record was sent.
        Success = 1 => "success",
        /// The device does not know the request.
        OpNotSupported = 2 => "op code not supported",
        /// The operator is none.
        InvalidOperator = 3 => "invalid operator",
        /// The device does not know this operator: ask for all records.
        OperatorNotSupported = 4 => "operator not supported",
        /// The operand is none.
        InvalidOperand = 5 => "invalid operand",
        /// Nothing fits the request.
        NoRecords = 6 => "no records found",
        /// It could not stop.
        AbortUnsuccessful = 7 => "abort unsuccessful",
        /// It stopped by itself.
        NotCompleted = 8 => "procedure not completed",
        /// The device cannot filter by this.
        OperandNotSupported = 9 => "operand not supported",
        /// The device is busy.
        Busy = 10 => "server busy",
    }
}

/// Where a range of records begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Filter 1, two octets: a sequence number; for a continuous glucose monitor minutes since its session's
    /// start.
    Sequence(u16),
    /// Filter 1, four octets: a record number (Generic Health Sensor).
    Record(u32),
    /// Filter 2: the time that the device shows to people.
    Time(DateTime),
}

/// Which records a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// All.
    All,
    /// Up to and including this one.
    AtMost(Mark),
    /// From this one on.
    AtLeast(Mark),
    /// From the one to the other, both included. Both are marks of one sort.
    Within(Mark, Mark),
    /// The oldest.
    First,
    /// The newest.
    Last,
}

/// 2A52, written or indicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordAccess {
    /// Send these records.
    Report(Records),
    /// Send these records, merged.
    CombinedReport(Records),
    /// Delete these records.
    Delete(Records),
    /// Count these records.
    Count(Records),
    /// Stop what is going on.
    Abort,
    /// Answer to [`RecordAccess::Count`].
    Counted(u16),
    /// Answer to [`RecordAccess::CombinedReport`].
    CombinedReportDone(u16),
    /// Answer to everything else, and to what failed.
    Response {
        /// The request that is answered.
        request: RecordOp,
        /// How it went.
        outcome: RecordOutcome,
    },
}

impl RecordAccess {
    /// Asks for everything after the sequence number that was last received; everything if none was, or if
    /// the device's numbers are used up.
    #[must_use]
    pub fn report_after(last: Option<u16>) -> Self {
        Self::Report(match last.and_then(|last| last.checked_add(1)) {
            Some(next) => Records::AtLeast(Mark::Sequence(next)),
            None => Records::All,
        })
    }

    /// Its op code.
    #[must_use]
    pub const fn op(self) -> RecordOp {
        match self {
            Self::Report(_) => RecordOp::Report,
            Self::CombinedReport(_) => RecordOp::CombinedReport,
            Self::Delete(_) => RecordOp::Delete,
            Self::Count(_) => RecordOp::Count,
            Self::Abort => RecordOp::Abort,
            Self::Counted(_) => RecordOp::Counted,
            Self::CombinedReportDone(_) => RecordOp::CombinedReportResponse,
            Self::Response { .. } => RecordOp::Response,
        }
    }

    /// The records that it asks for, if it asks for any.
    #[must_use]
    pub const fn records(self) -> Option<Records> {
        match self {
            Self::Report(records)
            | Self::CombinedReport(records)
            | Self::Delete(records)
            | Self::Count(records) => Some(records),
            Self::Abort
            | Self::Counted(_)
            | Self::CombinedReportDone(_)
            | Self::Response { .. } => None,
        }
    }

    /// From the octets of a write or an indication.
    ///
    /// # Errors
    /// Short, trailing, an op code or operator that the profiles do not know.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut octets = Octets::new(value)?;
        let op = RecordOp::from_code(octets.u8("op")?);
        let operator = octets.u8("operator")?;
        let decoded = match op {
            RecordOp::Report => Self::Report(Records::read(operator, &mut octets)?),
            RecordOp::CombinedReport => Self::CombinedReport(Records::read(operator, &mut octets)?),
            RecordOp::Delete => Self::Delete(Records::read(operator, &mut octets)?),
            RecordOp::Count => Self::Count(Records::read(operator, &mut octets)?),
            RecordOp::Abort => no_operator(operator, Self::Abort)?,
            RecordOp::Counted => no_operator(operator, Self::Counted(octets.u16("value")?))?,
            RecordOp::CombinedReportResponse => {
                no_operator(operator, Self::CombinedReportDone(octets.u16("value")?))?
            }
            RecordOp::Response => no_operator(
                operator,
                Self::Response {
                    request: RecordOp::from_code(octets.u8("request")?),
                    outcome: RecordOutcome::from_code(octets.u8("value")?),
                },
            )?,
            RecordOp::Reserved(_) => {
                return Err(DecodeError::BadValue {
                    field: "op",
                    expected: "1 to 8",
                });
            }
        };
        octets.finish(false)?;
        Ok(decoded)
    }

    /// The octets of a write or an indication.
    ///
    /// # Errors
    /// A range between marks of two sorts.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let builder = Builder::default().u8(self.op().code());
        match *self {
            Self::Report(records)
            | Self::CombinedReport(records)
            | Self::Delete(records)
            | Self::Count(records) => records.write(builder)?,
            Self::Abort => builder.u8(NULL),
            Self::Counted(count) | Self::CombinedReportDone(count) => builder.u8(NULL).u16(count),
            Self::Response { request, outcome } => {
                builder.u8(NULL).u8(request.code()).u8(outcome.code())
            }
        }
        .finish()
    }
}

fn no_operator(operator: u8, decoded: RecordAccess) -> Result<RecordAccess, DecodeError> {
    if operator == NULL {
        Ok(decoded)
    } else {
        Err(DecodeError::BadValue {
            field: "operator",
            expected: "0 for this op code",
        })
    }
}

impl Records {
    fn operand(self) -> Fields {
        let none = Fields::default();
        match self {
            Self::All | Self::First | Self::Last => none,
            Self::AtMost(mark) | Self::AtLeast(mark) => none
                .with("filter", mark.name())
                .with("operand", mark.field()),
            Self::Within(from, to) => none
                .with("filter", from.name())
                .with("from", from.field())
                .with("to", to.field()),
        }
    }

    const fn operator(self) -> u8 {
        match self {
            Self::All => ALL,
            Self::AtMost(_) => AT_MOST,
            Self::AtLeast(_) => AT_LEAST,
            Self::Within(..) => WITHIN,
            Self::First => FIRST,
            Self::Last => LAST,
        }
    }

    /// The operator in the words of the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all records",
            Self::AtMost(_) => "less than or equal to",
            Self::AtLeast(_) => "greater than or equal to",
            Self::Within(..) => "within range of",
            Self::First => "first record",
            Self::Last => "last record",
        }
    }

    fn read(operator: u8, octets: &mut Octets<'_>) -> Result<Self, DecodeError> {
        match operator {
            ALL => Ok(Self::All),
            FIRST => Ok(Self::First),
            LAST => Ok(Self::Last),
            AT_MOST => Mark::read(octets).map(|[mark]| Self::AtMost(mark)),
            AT_LEAST => Mark::read(octets).map(|[mark]| Self::AtLeast(mark)),
            WITHIN => Mark::read(octets).map(|[from, to]| Self::Within(from, to)),
            _ => Err(DecodeError::BadValue {
                field: "operator",
                expected: "1 to 6 for this op code",
            }),
        }
    }

    fn write(self, builder: Builder) -> Result<Builder, EncodeError> {
        let builder = builder.u8(self.operator());
        match self {
            Self::All | Self::First | Self::Last => Ok(builder),
            Self::AtMost(mark) | Self::AtLeast(mark) => Ok(mark.write(builder.u8(mark.filter()))),
            Self::Within(from, to) => {
                if core::mem::discriminant(&from) != core::mem::discriminant(&to) {
                    return Err(EncodeError {
                        field: "operand",
                        expected: "two marks of one sort",
                    });
                }
                Ok(to.write(from.write(builder.u8(from.filter()))))
            }
        }
    }
}

impl Mark {
    const fn filter(self) -> u8 {
        match self {
            Self::Sequence(_) | Self::Record(_) => BY_SEQUENCE,
            Self::Time(_) => BY_TIME,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Sequence(_) => "sequence number",
            Self::Record(_) => "record number",
            Self::Time(_) => "user facing time",
        }
    }

    fn field(self) -> Field {
        match self {
            Self::Sequence(number) => number.into(),
            Self::Record(number) => number.into(),
            Self::Time(time) => time.into(),
        }
    }

    /// A filter and its `N` marks. The length alone tells two octets a mark from four.
    fn read<const N: usize>(octets: &mut Octets<'_>) -> Result<[Self; N], DecodeError> {
        let filter = octets.u8("filter")?;
        let wide = octets.len() > N.saturating_mul(2);
        let mut marks = [Self::Sequence(0); N];
        for mark in &mut marks {
            *mark = match filter {
                BY_SEQUENCE if wide => Self::Record(octets.u32("operand")?),
                BY_SEQUENCE => Self::Sequence(octets.u16("operand")?),
                BY_TIME => Self::Time(DateTime::read(octets)?),
                _ => {
                    return Err(DecodeError::BadValue {
                        field: "filter",
                        expected: "1 (sequence number) or 2 (user facing time)",
                    });
                }
            };
        }
        Ok(marks)
    }

    fn write(self, builder: Builder) -> Builder {
        match self {
            Self::Sequence(number) => builder.u16(number),
            Self::Record(number) => builder.u32(number),
            Self::Time(time) => time.write(builder),
        }
    }
}

impl RecordAccess {
    /// Its named fields.
    pub(super) fn fields(&self) -> Fields {
        let none = Fields::default().with("op", self.op().name());
        match *self {
            Self::Report(records)
            | Self::CombinedReport(records)
            | Self::Delete(records)
            | Self::Count(records) => none.with("operator", records.name()).and(records.operand()),
            Self::Abort => none.with("operator", "null"),
            Self::Counted(count) | Self::CombinedReportDone(count) => none.with("value", count),
            Self::Response { request, outcome } => none
                .with("request", request.code())
                .with("value", outcome.name()),
        }
    }
}
