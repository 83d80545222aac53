//! The Record Access Control Point of a device: it keeps records and sends those that are asked for.
//!
//! One request at a time, at one record a poll; an abort stops it; who stops listening ends it. It never deletes: that
//! request is answered with "not supported", and counted.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use vitals::gatt::DateTime;
use vitals::gatt::racp::{Mark, RecordAccess, RecordOp, RecordOutcome, Records};

use crate::device::Heard;
use crate::gatt::{self, Refusal, Value};
use crate::profiles;

/// What a memory holds; the oldest record is overwritten.
const CAPACITY: usize = 2000;

/// What was measured once.
#[derive(Clone, Debug)]
pub struct Record {
    /// Sequence number, or minutes since the session's start.
    pub number: u16,
    /// As the device's clock stamped it.
    pub time: Option<DateTime>,
    /// What is sent of it, in order.
    pub values: Vec<Value>,
}

/// Memory and control point.
#[derive(Debug, Default)]
pub struct RecordStore {
    stored: VecDeque<Record>,
    sending: VecDeque<Vec<Value>>,
    /// Requests to delete, none of which was obeyed.
    pub deletes_refused: u32,
}

impl RecordStore {
    /// Keeps a record.
    pub fn keep(&mut self, record: Record) {
        if self.stored.len() == CAPACITY {
            self.stored.pop_front();
        }
        self.stored.push_back(record);
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stored.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// A write to the control point; answers are sent by later polls.
    ///
    /// # Errors
    /// [`Refusal::IN_PROGRESS`] while records are being sent (except for an abort), [`Refusal::LENGTH`] for octets that
    /// are no request.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), Refusal> {
        let Ok(request) = RecordAccess::decode(octets) else {
            let op = octets.first().ok_or(Refusal::LENGTH)?;
            self.answer(RecordOp::from_code(*op), RecordOutcome::OpNotSupported);
            return Ok(());
        };
        if request == RecordAccess::Abort {
            self.sending.clear();
            self.answer(RecordOp::Abort, RecordOutcome::Success);
            return Ok(());
        }
        if !self.sending.is_empty() {
            return Err(Refusal::IN_PROGRESS);
        }
        match request {
            RecordAccess::Report(records) => self.report(records),
            RecordAccess::Count(records) => match self.matching(records) {
                Err(outcome) => self.answer(RecordOp::Count, outcome),
                Ok(found) => {
                    // At most `CAPACITY`.
                    let count = u16::try_from(found.len()).unwrap_or(u16::MAX);
                    self.send(&RecordAccess::Counted(count));
                }
            },
            RecordAccess::Delete(_) => {
                self.deletes_refused += 1;
                self.answer(RecordOp::Delete, RecordOutcome::OpNotSupported);
            }
            RecordAccess::CombinedReport(_)
            | RecordAccess::Abort
            | RecordAccess::Counted(_)
            | RecordAccess::CombinedReportDone(_)
            | RecordAccess::Response { .. } => {
                self.answer(request.op(), RecordOutcome::OpNotSupported);
            }
        }
        Ok(())
    }

    /// What is sent now: one record, or the answer that ends a request.
    pub fn poll(&mut self, heard: Heard<'_>) -> Vec<Value> {
        if !heard(profiles::RECORD_ACCESS) {
            self.sending.clear();
        }
        self.sending.pop_front().unwrap_or_default()
    }

    /// True while a request is being answered.
    #[must_use]
    pub fn busy(&self) -> bool {
        !self.sending.is_empty()
    }

    fn report(&mut self, records: Records) {
        match self.matching(records) {
            Err(outcome) => self.answer(RecordOp::Report, outcome),
            Ok(found) if found.is_empty() => {
                self.answer(RecordOp::Report, RecordOutcome::NoRecords);
            }
            Ok(found) => {
                self.sending.extend(found);
                self.answer(RecordOp::Report, RecordOutcome::Success);
            }
        }
    }

    fn matching(&self, records: Records) -> Result<Vec<Vec<Value>>, RecordOutcome> {
        let values = |record: &Record| record.values.clone();
        let (from, to) = match records {
            Records::All => (None, None),
            Records::First => return Ok(self.stored.front().map(values).into_iter().collect()),
            Records::Last => return Ok(self.stored.back().map(values).into_iter().collect()),
            Records::AtLeast(from) => (Some(from), None),
            Records::AtMost(to) => (None, Some(to)),
            Records::Within(from, to) => (Some(from), Some(to)),
        };
        let mut found = Vec::new();
        for record in &self.stored {
            let after = from.map_or(Ok(true), |from| reaches(record, from, i64::ge))?;
            let before = to.map_or(Ok(true), |to| reaches(record, to, i64::le))?;
            if after && before {
                found.push(values(record));
            }
        }
        Ok(found)
    }

    fn answer(&mut self, request: RecordOp, outcome: RecordOutcome) {
        self.send(&RecordAccess::Response { request, outcome });
    }

    fn send(&mut self, answer: &RecordAccess) {
        let value = gatt::value(profiles::RECORD_ACCESS, answer.encode());
        self.sending.push_back(value.into_iter().collect());
    }
}

/// How a record lies to a mark.
fn reaches(
    record: &Record,
    mark: Mark,
    compare: fn(&i64, &i64) -> bool,
) -> Result<bool, RecordOutcome> {
    match mark {
        Mark::Sequence(number) => Ok(compare(&record.number.into(), &number.into())),
        Mark::Record(_) => Err(RecordOutcome::OperandNotSupported),
        Mark::Time(time) => {
            let micros = |time: DateTime| time.as_if_utc().map(vitals::Time::as_micros);
            let mark = micros(time).ok_or(RecordOutcome::InvalidOperand)?;
            let at = record.time.and_then(micros);
            Ok(at.is_some_and(|at| compare(&at, &mark)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(count: u16) -> RecordStore {
        let mut store = RecordStore::default();
        for number in 0..count {
            store.keep(Record {
                number,
                time: None,
                values: Vec::from([Value {
                    characteristic: gatt::BATTERY_LEVEL,
                    bytes: number.to_le_bytes().into(),
                }]),
            });
        }
        store
    }

    fn ask(store: &mut RecordStore, octets: &[u8]) -> Vec<Vec<u8>> {
        store.write(octets).expect("taken");
        let mut said = Vec::new();
        while store.busy() {
            said.extend(store.poll(&|_| true).into_iter().map(|value| value.bytes));
        }
        said
    }

    #[test]
    fn records_are_sent_by_number_and_the_end_is_said() {
        let mut store = store(5);
        let answer = ask(&mut store, &[1, 3, 1, 3, 0]);
        assert_eq!(answer, [&[3, 0][..], &[4, 0], &[6, 0, 1, 1]]);
        assert_eq!(ask(&mut store, &[1, 3, 1, 9, 0]), [[6, 0, 1, 6]]);
        assert_eq!(ask(&mut store, &[4, 1]), [[5, 0, 5, 0]]);
        assert_eq!(ask(&mut store, &[1, 6]).first(), Some(&Vec::from([4, 0])));
        assert_eq!(ask(&mut store, &[0x77, 0]), [[6, 0, 0x77, 2]]);
    }

    #[test]
    fn nothing_is_ever_deleted() {
        let mut store = store(5);
        assert_eq!(ask(&mut store, &[2, 1]), [[6, 0, 2, 2]]);
        assert_eq!((store.len(), store.deletes_refused), (5, 1));
    }

    #[test]
    fn one_request_at_a_time_until_it_is_aborted_or_nobody_listens() {
        let mut store = store(5);
        store.write(&[1, 1]).expect("taken");
        store.poll(&|_| true);
        assert_eq!(store.write(&[1, 1]), Err(Refusal::IN_PROGRESS));
        assert_eq!(ask(&mut store, &[3, 0]), [[6, 0, 3, 1]]);
        store.write(&[1, 1]).expect("taken");
        store.poll(&|_| false);
        assert!(!store.busy());
    }
}
