//! Bangle.js, the open watch: lines of JSON over the Nordic UART service 6E400001, as its Gadgetbridge
//! ("Android Integration") app sends them: `{"t":"act","hrm":72,"stp":31}`, `{"t":"status","bat":81}`.
//!
//! A line comes in pieces of a notification each; [`Lines`] joins them. Of a line only the numbers of its
//! outermost object are read, by a scanner that knows just enough JSON: a watch's own programs print anything
//! on this line, and what is none of ours is passed over.

use alloc::vec::Vec;

use super::DecodeError;
use super::fields::{Field, Fields};
use super::float::Number;
use super::octets::Octets;

/// Longest line that is kept.
const MAX_LINE: usize = 512;

/// What a line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BangleLine {
    /// Beats per minute; 0 = none.
    pub heart_rate: Option<Number>,
    /// How sure the watch is of the rate, percent.
    pub confidence: Option<Number>,
    /// Steps since the line before.
    pub steps: Option<Number>,
    /// Charge of the battery, percent.
    pub battery: Option<Number>,
}

impl BangleLine {
    /// From a line without its end; `None` if it is not one of ours.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut scanner = Scanner { rest: line };
        let mut read = Self::default();
        let mut ours = None;
        scanner.expect(b'{')?;
        if scanner.peek() == Some(b'}') {
            return None;
        }
        loop {
            let key = scanner.string()?;
            scanner.expect(b':')?;
            let value = scanner.value()?;
            match key {
                b"t" => ours = value.text(),
                b"hrm" | b"bpm" => read.heart_rate = value.number(),
                b"conf" | b"confidence" => read.confidence = value.number(),
                b"stp" => read.steps = value.number(),
                b"bat" => read.battery = value.number(),
                _ => {}
            }
            match scanner.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        if scanner.peek().is_some() {
            return None;
        }
        matches!(ours, Some(b"act" | b"status" | b"hrm")).then_some(read)
    }

    /// Its named fields.
    #[must_use]
    pub fn fields(&self) -> Fields {
        Fields::default()
            .with_some("hrm", self.heart_rate)
            .with_some("confidence", self.confidence)
            .with_some("steps_taken", self.steps)
            .with_some("battery", self.battery)
    }
}

/// `6E400003`: a piece of what the watch prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UartPiece(Vec<u8>);

impl UartPiece {
    /// From the octets of a notification.
    ///
    /// # Errors
    /// Longer than any value.
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        Octets::new(value).map(|mut octets| Self(octets.rest().to_vec()))
    }

    /// The octets of a notification.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.0.clone()
    }

    /// What was printed.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Its named fields: those of the line, if it is a whole one.
    pub(super) fn fields(&self) -> Fields {
        let line = BangleLine::parse(self.0.trim_ascii());
        line.map_or_else(
            || {
                Fields::default().with(
                    "octets",
                    Field::Whole(i64::try_from(self.0.len()).unwrap_or(0)),
                )
            },
            |line| line.fields(),
        )
    }
}

/// Joins the pieces of lines; holds at most one line.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    held: Vec<u8>,
    /// The line that is being read is too long, and none of ours.
    skipping: bool,
}

impl Lines {
    /// Takes a piece; what the lines that it ends say.
    pub fn take(&mut self, piece: &[u8]) -> Vec<BangleLine> {
        let mut said = Vec::new();
        for octet in piece {
            match octet {
                b'\n' | b'\r' => {
                    if !self.skipping {
                        said.extend(BangleLine::parse(&self.held));
                    }
                    self.held.clear();
                    self.skipping = false;
                }
                _ if self.held.len() >= MAX_LINE => self.skipping = true,
                octet => self.held.push(*octet),
            }
        }
        said
    }
}

/// A value of the outermost object.
#[derive(Clone, Copy)]
enum Scanned<'a> {
    Text(&'a [u8]),
    Number(Number),
    /// A list, an object, true, false, null.
    Other,
}

impl<'a> Scanned<'a> {
    const fn text(self) -> Option<&'a [u8]> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Other => None,
        }
    }

    const fn number(self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(_) | Self::Other => None,
        }
    }
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// The next octet that is no blank, not taken.
    fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.rest = self.rest.get(1..)?;
        Some(octet)
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// A string as it is written, its escapes untouched.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let mut escaped = false;
        let end = self.rest.iter().position(|octet| {
            let ends = *octet == b'"' && !escaped;
            escaped = *octet == b'\\' && !escaped;
            ends
        })?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..)?;
        Some(text)
    }

    fn value(&mut self) -> Option<Scanned<'a>> {
        match self.peek()? {
            b'"' => self.string().map(Scanned::Text),
            b'{' | b'[' => self.nested().map(|()| Scanned::Other),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                let word = |octet: &u8| octet.is_ascii_lowercase();
                let end = self.rest.iter().position(|octet| !word(octet))?;
                let (text, rest) = self.rest.split_at_checked(end)?;
                self.rest = rest;
                matches!(text, b"true" | b"false" | b"null").then_some(Scanned::Other)
            }
        }
    }

    /// Passes over a list or an object, whatever is in it.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.next()?;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// A decimal; what has an exponent, or more digits than any sensor, is no number of ours.
    fn number(&mut self) -> Option<Scanned<'a>> {
        let part = |octet: &u8| matches!(octet, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let end = self.rest.iter().position(|octet| !part(octet))?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let (mut mantissa, mut exponent, mut fraction) = (0_i32, 0_i8, false);
        for octet in digits {
            match octet {
                b'.' if !fraction => fraction = true,
                b'0'..=b'9' => {
                    let digit = i32::from(octet.wrapping_sub(b'0'));
                    let Some(longer) = mantissa.checked_mul(10).and_then(|m| m.checked_add(digit))
                    else {
                        return Some(Scanned::Other);
                    };
                    mantissa = longer;
                    exponent = exponent.saturating_sub(i8::from(fraction));
                }
                _ => return Some(Scanned::Other),
            }
        }
        let mantissa = if negative {
            mantissa.wrapping_neg()
        } else {
            mantissa
        };
        Some(Scanned::Number(Number::new(mantissa, exponent)))
    }
}
