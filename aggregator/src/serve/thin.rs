//! PURE. Fewer points for a picture: of each stretch of time the lowest and the highest.

use std::collections::BTreeMap;

use super::history::Told;

/// At most `limit` points of one kind: all of them, or the lowest and highest of each of `limit / 2` equal
/// stretches of time. The stretches double when data go on beyond the last one.
#[derive(Debug)]
pub(super) struct Thinned {
    limit: usize,
    points: Vec<Told>,
    /// Width of a stretch, milliseconds, once thinning began.
    pub(super) width: Option<i64>,
    start: i64,
    stretches: BTreeMap<i64, (Told, Told)>,
}

impl Thinned {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            points: Vec::new(),
            width: None,
            start: 0,
            stretches: BTreeMap::new(),
        }
    }

    pub(super) fn push(&mut self, point: Told) {
        if let Some(width) = self.width {
            self.merge(width, point);
            return;
        }
        self.points.push(point);
        if self.points.len() <= self.limit {
            return;
        }
        let points = std::mem::take(&mut self.points);
        self.start = points.first().map_or(0, |first| first.effective);
        let length = point.effective - self.start;
        let width = length / self.buckets() + 1;
        self.width = Some(width);
        for point in points {
            self.merge(width, point);
        }
    }

    fn buckets(&self) -> i64 {
        i64::try_from(self.limit / 2).unwrap_or(i64::MAX).max(1)
    }

    fn merge(&mut self, mut width: i64, point: Told) {
        let offset = point.effective - self.start;
        while offset / width >= self.buckets() {
            width = width.saturating_mul(2);
            self.width = Some(width);
            for (number, (low, high)) in std::mem::take(&mut self.stretches) {
                self.put(number / 2, low);
                self.put(number / 2, high);
            }
        }
        self.put(offset / width, point);
    }

    fn put(&mut self, number: i64, point: Told) {
        let (low, high) = self.stretches.entry(number).or_insert((point, point));
        if point.value < low.value {
            *low = point;
        }
        if point.value > high.value {
            *high = point;
        }
    }

    pub(super) fn into_told(self) -> Vec<Told> {
        let mut points = self.points;
        for (low, high) in self.stretches.into_values() {
            let (first, second) = if low.effective <= high.effective {
                (low, high)
            } else {
                (high, low)
            };
            points.push(first);
            if second != first {
                points.push(second);
            }
        }
        points
    }
}
