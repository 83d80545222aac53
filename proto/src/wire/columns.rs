//! Readings as columns: per source and kind, packed deltas (2.5 bytes a reading against 15.8 row by row).
//!
//! Invariants: the readings of a kind keep their order; a column's sequence numbers count on by one, so a
//! jump begins a new column; what [`split_to_fit`] makes encodes to at most the size asked for.

use std::collections::BTreeMap;

use vitals::{Absence, DeviceTime, Fixed, Kind, Quality, Reading, SourceId, Span, Time, Value};

use super::{MAX_MANTISSA, MAX_READINGS, WireError};
use crate::seal::MAX_BODY;
use crate::v1::{self, BatchBody, Column, Flagged, Stamped};

/// Most bytes a column takes besides its readings: tag and length of the message (4), kind (2), first
/// effective time (11), first sequence number (11), tag and length of three packed lists (12).
const COLUMN_SIZE: usize = 40;
/// Most bytes a flag takes: tag and length (2), index (6), quality (6), absence (2).
const FLAG_SIZE: usize = 16;
/// Most bytes a device's own stamp takes: tag and length (2), index (6), difference (11), uncertainty (11).
const STAMP_SIZE: usize = 30;
/// Room that a batch always has for readings, whatever else the caller wants to put in.
const LEAST_ROOM: usize = 256;

/// Readings of one source that fit one record.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadingBatch {
    /// Their source.
    pub source: SourceId,
    /// How many readings, for the stub.
    pub count: u16,
    /// Oldest effective time, for the stub.
    pub oldest: Time,
    /// Newest effective time, for the stub.
    pub newest: Time,
    /// The readings.
    pub columns: Vec<Column>,
}

impl ReadingBatch {
    /// A body with these readings and nothing else.
    #[must_use]
    pub fn into_body(self) -> BatchBody {
        BatchBody {
            columns: self.columns,
            ..BatchBody::default()
        }
    }
}

/// Splits readings into batches of one source each, whose columns take at most a record's room less
/// `reserve` bytes (kept for superseded numbers, device reports...). The order of each source and kind is
/// kept; batches come in the order in which they were begun. Empty for no readings.
#[must_use]
pub fn split_to_fit(readings: &[Reading], reserve: usize) -> Vec<ReadingBatch> {
    let room = MAX_BODY.saturating_sub(reserve).max(LEAST_ROOM);
    let mut full = Vec::new();
    let mut open: BTreeMap<SourceId, (usize, Builder)> = BTreeMap::new();
    for (order, reading) in readings.iter().enumerate() {
        let (begun, builder) = open
            .entry(reading.source)
            .or_insert_with(|| (order, Builder::default()));
        if !builder.fits(reading, room) {
            full.push((*begun, std::mem::take(builder).finish(reading.source)));
            *begun = order;
        }
        builder.push(reading);
    }
    full.extend(
        open.into_iter()
            .map(|(source, (begun, builder))| (begun, builder.finish(source))),
    );
    full.sort_by_key(|(begun, _)| *begun);
    full.into_iter().map(|(_, batch)| batch).collect()
}

/// At most [`MAX_READINGS`] readings of *one* source in one batch, for whoever knows that a record holds it; `None`
/// for none.
#[must_use]
pub fn one_batch(readings: &[Reading]) -> Option<ReadingBatch> {
    let source = readings.first()?.source;
    let mut builder = Builder::default();
    readings.iter().for_each(|reading| builder.push(reading));
    Some(builder.finish(source))
}

/// Readings of *one* source as columns, however large. Whoever must fit a record calls [`split_to_fit`].
#[must_use]
pub fn encode_columns(readings: &[Reading]) -> Vec<Column> {
    debug_assert!(
        readings
            .windows(2)
            .all(|pair| pair[0].source == pair[1].source),
        "one source a batch"
    );
    let mut builder = Builder::default();
    readings.iter().for_each(|reading| builder.push(reading));
    builder
        .columns
        .into_iter()
        .map(|open| open.column)
        .collect()
}

/// An upper bound of what [`encode_columns`] of these readings takes in a body, bytes.
#[must_use]
pub fn estimated_size(readings: &[Reading]) -> usize {
    let mut builder = Builder::default();
    readings.iter().for_each(|reading| builder.push(reading));
    builder.size
}

/// The columns of one batch as they grow.
#[derive(Debug, Default)]
struct Builder {
    columns: Vec<OpenColumn>,
    /// Which column takes the next reading of a kind.
    current: BTreeMap<Kind, usize>,
    /// Upper bound of the encoded size, bytes.
    size: usize,
    count: usize,
    span: Option<(Time, Time)>,
}

#[derive(Debug)]
struct OpenColumn {
    column: Column,
    last_effective: Time,
    last_sequence: u64,
    /// The last number of the column; the differences are taken to it, absent readings aside.
    last_value: i64,
}

/// One reading as the differences that a column holds.
struct Deltas {
    effective: i64,
    received: i64,
    value: i64,
    flags: Option<(Quality, Option<Absence>)>,
    stamped: Option<(i64, u64)>,
}

impl Builder {
    fn fits(&self, reading: &Reading, room: usize) -> bool {
        self.count < MAX_READINGS && self.size + self.cost(reading) <= room
    }

    /// Upper bound of what this reading adds.
    fn cost(&self, reading: &Reading) -> usize {
        let open = self
            .current
            .get(&reading.kind)
            .and_then(|at| self.columns.get(*at));
        match open.and_then(|open| open.deltas(reading)) {
            Some(deltas) => deltas.size(),
            None => COLUMN_SIZE + OpenColumn::begin(reading).1.size(),
        }
    }

    fn push(&mut self, reading: &Reading) {
        self.size += self.cost(reading);
        self.count += 1;
        let (oldest, newest) = self.span.unwrap_or((reading.effective, reading.effective));
        self.span = Some((oldest.min(reading.effective), newest.max(reading.effective)));
        if let Some(open) = self
            .current
            .get(&reading.kind)
            .and_then(|at| self.columns.get_mut(*at))
            && let Some(deltas) = open.deltas(reading)
        {
            open.take(reading, &deltas);
            return;
        }
        let (mut open, deltas) = OpenColumn::begin(reading);
        open.take(reading, &deltas);
        self.current.insert(reading.kind, self.columns.len());
        self.columns.push(open);
    }

    fn finish(self, source: SourceId) -> ReadingBatch {
        let (oldest, newest) = self.span.unwrap_or((Time::ZERO, Time::ZERO));
        ReadingBatch {
            source,
            count: u16::try_from(self.count).expect("a batch has at most MAX_READINGS readings"),
            oldest,
            newest,
            columns: self.columns.into_iter().map(|open| open.column).collect(),
        }
    }
}

impl OpenColumn {
    fn begin(reading: &Reading) -> (Self, Deltas) {
        let column = Column {
            kind: reading.kind.wire(),
            first_effective_us: reading.effective.as_micros(),
            first_sequence: reading.sequence,
            ..Column::default()
        };
        let open = Self {
            column,
            last_effective: reading.effective,
            last_sequence: reading.sequence,
            last_value: 0,
        };
        let deltas = Deltas::of(reading, 0, 0);
        (open, deltas)
    }

    /// `None` if the reading cannot follow in this column.
    fn deltas(&self, reading: &Reading) -> Option<Deltas> {
        let follows = self.last_sequence.checked_add(1) == Some(reading.sequence);
        let effective = reading
            .effective
            .as_micros()
            .checked_sub(self.last_effective.as_micros())?;
        follows.then(|| Deltas::of(reading, effective, self.last_value))
    }

    fn take(&mut self, reading: &Reading, deltas: &Deltas) {
        let column = &mut self.column;
        if let Some((quality, absence)) = deltas.flags {
            let index = u32::try_from(column.value_delta.len()).unwrap_or(u32::MAX);
            let absence = absence.map_or(v1::Absence::Unspecified, v1::Absence::from);
            column.flagged.push(Flagged {
                index,
                quality: quality.bits(),
                absence: absence as i32,
            });
        }
        if let Some((device_delta_us, uncertainty_us)) = deltas.stamped {
            let index = u32::try_from(column.value_delta.len()).unwrap_or(u32::MAX);
            column.stamped.push(Stamped {
                index,
                device_delta_us,
                uncertainty_us,
            });
        }
        column.effective_delta_us.push(deltas.effective);
        column.received_delta_us.push(deltas.received);
        column.value_delta.push(deltas.value);
        self.last_effective = reading.effective;
        self.last_sequence = reading.sequence;
        self.last_value += deltas.value;
    }
}

impl Deltas {
    fn of(reading: &Reading, effective: i64, last_value: i64) -> Self {
        let (value, quality, absence) = match reading.value {
            Value::Measured(Fixed(mantissa))
                if mantissa.unsigned_abs() <= MAX_MANTISSA.unsigned_abs() =>
            {
                (mantissa - last_value, reading.quality, None)
            }
            // No sensor sends such a number and `Fixed::from_f64` makes none: it is not one.
            Value::Measured(_) => (
                0,
                reading.quality.with(Quality::IMPLAUSIBLE),
                Some(Absence::NotANumber),
            ),
            Value::Absent(absence) => (0, reading.quality, Some(absence)),
        };
        let plain = quality == Quality::GOOD && absence.is_none();
        Self {
            effective,
            // Saturates for times that are more than 292 000 years apart.
            received: reading.received.since(reading.effective).as_micros(),
            value,
            flags: (!plain).then_some((quality, absence)),
            stamped: reading.device.map(|device| {
                let uncertainty = device.uncertainty.as_micros().max(0);
                (
                    device.stamp.since(reading.effective).as_micros(),
                    uncertainty.unsigned_abs(),
                )
            }),
        }
    }

    fn size(&self) -> usize {
        let flags = if self.flags.is_some() { FLAG_SIZE } else { 0 };
        let stamp = if self.stamped.is_some() {
            STAMP_SIZE
        } else {
            0
        };
        flags
            + stamp
            + [self.effective, self.received, self.value]
                .into_iter()
                .map(varint_size)
                .sum::<usize>()
    }
}

/// Bytes of a zig-zag varint.
pub(super) fn varint_size(value: i64) -> usize {
    let bits = 65 - value.unsigned_abs().leading_zeros();
    bits.div_ceil(7).clamp(1, 10) as usize
}

/// The readings of a body, column by column.
///
/// # Errors
/// [`WireError`], naming the field of the first column that does not hold. A kind or an absence that this
/// version does not know is an error too: the journal keeps the batch until a newer release reads it.
pub fn decode_columns(source: SourceId, body: &BatchBody) -> Result<Vec<Reading>, WireError> {
    let count: usize = body
        .columns
        .iter()
        .map(|column| column.value_delta.len())
        .sum();
    if count > MAX_READINGS {
        return Err(WireError::TooMany {
            field: "columns.value_delta",
            limit: MAX_READINGS,
        });
    }
    let mut readings = Vec::with_capacity(count);
    for (index, column) in body.columns.iter().enumerate() {
        decode_column(source, column, index, &mut readings)?;
    }
    Ok(readings)
}

fn decode_column(
    source: SourceId,
    column: &Column,
    index: usize,
    readings: &mut Vec<Reading>,
) -> Result<(), WireError> {
    let malformed = |field| WireError::Malformed { field, index };
    let kind = Kind::from_wire(column.kind).ok_or(WireError::Unknown {
        field: "column.kind",
        index,
    })?;
    let count = column.value_delta.len();
    if count == 0 {
        return Err(malformed("column.value_delta"));
    }
    if column.effective_delta_us.len() != count || column.effective_delta_us.first() != Some(&0) {
        return Err(malformed("column.effective_delta_us"));
    }
    if column.received_delta_us.len() != count {
        return Err(malformed("column.received_delta_us"));
    }
    let mut flags = FlagReader::new(column, index)?;
    let mut stamps = stamps(column, index)?.into_iter().peekable();
    let mut effective = column.first_effective_us;
    let mut number = 0_i64;
    let steps = column
        .effective_delta_us
        .iter()
        .zip(&column.received_delta_us)
        .zip(&column.value_delta);
    for (offset, ((effective_delta, received_delta), value_delta)) in steps.enumerate() {
        effective = effective
            .checked_add(*effective_delta)
            .ok_or(malformed("column.effective_delta_us"))?;
        let received = effective
            .checked_add(*received_delta)
            .ok_or(malformed("column.received_delta_us"))?;
        number = number
            .checked_add(*value_delta)
            .filter(|number| number.unsigned_abs() <= MAX_MANTISSA.unsigned_abs())
            .ok_or(malformed("column.value_delta"))?;
        let sequence = u64::try_from(offset)
            .ok()
            .and_then(|offset| column.first_sequence.checked_add(offset));
        let (quality, absence) = flags.at(offset);
        let device = match stamps.next_if(|(at, _)| *at == offset) {
            Some((_, stamped)) => Some(DeviceTime {
                stamp: effective
                    .checked_add(stamped.device_delta_us)
                    .map(Time::from_micros)
                    .ok_or(malformed("column.stamped.device_delta_us"))?,
                uncertainty: Span::from_micros(
                    i64::try_from(stamped.uncertainty_us)
                        .map_err(|_| malformed("column.stamped.uncertainty_us"))?,
                ),
            }),
            None => None,
        };
        readings.push(Reading {
            kind,
            value: absence.map_or(Value::Measured(Fixed(number)), Value::Absent),
            source,
            sequence: sequence.ok_or(malformed("column.first_sequence"))?,
            effective: Time::from_micros(effective),
            received: Time::from_micros(received),
            quality,
            device,
        });
    }
    Ok(())
}

/// The stamps of a column by index: ascending, inside the column.
fn stamps(column: &Column, index: usize) -> Result<Vec<(usize, &Stamped)>, WireError> {
    let malformed = WireError::Malformed {
        field: "column.stamped.index",
        index,
    };
    if column.stamped.len() > column.value_delta.len() {
        return Err(malformed);
    }
    let mut stamps: Vec<(usize, &Stamped)> = Vec::with_capacity(column.stamped.len());
    for stamped in &column.stamped {
        let at = usize::try_from(stamped.index).map_err(|_| malformed)?;
        if at >= column.value_delta.len() || stamps.last().is_some_and(|(last, _)| *last >= at) {
            return Err(malformed);
        }
        stamps.push((at, stamped));
    }
    Ok(stamps)
}

/// The sparse flags of a column, in step with its readings.
struct FlagReader {
    ahead: std::iter::Peekable<std::vec::IntoIter<(usize, Quality, Option<Absence>)>>,
}

impl FlagReader {
    /// Checks all flags: ascending indices inside the column, known absences.
    fn new(column: &Column, index: usize) -> Result<Self, WireError> {
        let malformed = WireError::Malformed {
            field: "column.flagged.index",
            index,
        };
        if column.flagged.len() > column.value_delta.len() {
            return Err(malformed);
        }
        let mut flags: Vec<(usize, Quality, Option<Absence>)> =
            Vec::with_capacity(column.flagged.len());
        for flag in &column.flagged {
            let at = usize::try_from(flag.index).map_err(|_| malformed)?;
            if at >= column.value_delta.len()
                || flags.last().is_some_and(|(last, _, _)| *last >= at)
            {
                return Err(malformed);
            }
            let absence = match flag.absence {
                0 => None,
                number => Some(Absence::from_wire(number).ok_or(WireError::Unknown {
                    field: "column.flagged.absence",
                    index,
                })?),
            };
            flags.push((at, Quality::from_bits(flag.quality), absence));
        }
        Ok(Self {
            ahead: flags.into_iter().peekable(),
        })
    }

    fn at(&mut self, offset: usize) -> (Quality, Option<Absence>) {
        let flag = self.ahead.next_if(|(at, _, _)| *at == offset);
        flag.map_or((Quality::GOOD, None), |(_, quality, absence)| {
            (quality, absence)
        })
    }
}
