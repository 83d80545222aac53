//! IEEE 11073-20601 SFLOAT (16 bits) and FLOAT (32 bits): decimal numbers, and five values that are none.
//!
//! Mantissa and exponent are two's complement and are kept as they came, so 98.0 stays apart from 98 and
//! nothing is rounded. A special value is never a number here: it has no `f64`.

use alloc::format;

use crate::Absence;

/// `mantissa * 10^exponent`, at the precision that the sensor sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// Signed digits: 12 bits in an SFLOAT, 24 in a FLOAT.
    pub mantissa: i32,
    /// Power of ten: -8 to 7 in an SFLOAT, -128 to 127 in a FLOAT.
    pub exponent: i8,
}

/// What IEEE 11073 says in place of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// Not a number: the sensor could not measure.
    NaN,
    /// Not at this resolution.
    NRes,
    /// Above what the sensor can measure.
    PositiveInfinity,
    /// Below what the sensor can measure.
    NegativeInfinity,
    /// Reserved for future use.
    Reserved,
}

impl Special {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NaN,
        Self::NRes,
        Self::PositiveInfinity,
        Self::NegativeInfinity,
        Self::Reserved,
    ];

    /// The reason as the rest of the house knows it.
    #[must_use]
    pub const fn absence(self) -> Absence {
        match self {
            Self::NaN => Absence::NotANumber,
            Self::NRes => Absence::NotAtThisResolution,
            Self::PositiveInfinity => Absence::PositiveInfinity,
            Self::NegativeInfinity => Absence::NegativeInfinity,
            Self::Reserved => Absence::Reserved,
        }
    }

    /// Short text: `NaN`, `NRes`, `+INF`, `-INF`, `reserved`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NaN => "NaN",
            Self::NRes => "NRes",
            Self::PositiveInfinity => "+INF",
            Self::NegativeInfinity => "-INF",
            Self::Reserved => "reserved",
        }
    }

    const fn sfloat(self) -> u16 {
        match self {
            Self::NaN => 0x07FF,
            Self::NRes => 0x0800,
            Self::PositiveInfinity => 0x07FE,
            Self::NegativeInfinity => 0x0802,
            Self::Reserved => 0x0801,
        }
    }

    const fn float(self) -> u32 {
        match self {
            Self::NaN => 0x007F_FFFF,
            Self::NRes => 0x0080_0000,
            Self::PositiveInfinity => 0x007F_FFFE,
            Self::NegativeInfinity => 0x0080_0002,
            Self::Reserved => 0x0080_0001,
        }
    }
}

/// An SFLOAT or FLOAT: a number, or what is said in its place. Equality is of the parts: 98.0 is not 98.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    /// A number.
    Finite(Decimal),
    /// None, and why.
    Special(Special),
}

impl Number {
    /// `mantissa * 10^exponent`; whether it fits is decided when it is written.
    #[must_use]
    pub const fn new(mantissa: i32, exponent: i8) -> Self {
        Self::Finite(Decimal { mantissa, exponent })
    }

    /// The nearest number with at most `decimals` decimals that an SFLOAT can hold; what is not finite or too
    /// large becomes the special value that says so.
    #[must_use]
    pub fn nearest_sfloat(value: f64, decimals: u8) -> Self {
        Self::nearest(value, decimals.min(8), 7, |number| {
            number.to_sfloat().is_some()
        })
    }

    /// The nearest number with at most `decimals` decimals that a FLOAT can hold; what is not finite or too
    /// large becomes the special value that says so.
    #[must_use]
    pub fn nearest_float(value: f64, decimals: u8) -> Self {
        Self::nearest(value, decimals.min(20), 127, |number| {
            number.to_float().is_some()
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked against the range of i32 just before"
    )]
    fn nearest(value: f64, decimals: u8, max_exponent: i8, fits: impl Fn(Self) -> bool) -> Self {
        if value.is_nan() {
            return Self::Special(Special::NaN);
        }
        let finest = 0_i8.saturating_sub_unsigned(decimals);
        for exponent in finest..=max_exponent {
            let mantissa = libm::round(value / libm::pow(10.0, f64::from(exponent)));
            if libm::fabs(mantissa) < 16_777_216.0 && fits(Self::new(mantissa as i32, exponent)) {
                return Self::new(mantissa as i32, exponent);
            }
        }
        Self::Special(if value > 0.0 {
            Special::PositiveInfinity
        } else {
            Special::NegativeInfinity
        })
    }

    /// From the 16 bits of an SFLOAT. Total: every pattern means something.
    #[must_use]
    pub fn from_sfloat(bits: u16) -> Self {
        if let Some(special) = Special::ALL
            .into_iter()
            .find(|special| special.sfloat() == bits)
        {
            return Self::Special(special);
        }
        let [high, _] = bits.to_be_bytes();
        Self::new(
            i32::from((bits << 4).cast_signed() >> 4),
            high.cast_signed() >> 4,
        )
    }

    /// From the 32 bits of a FLOAT. Total: every pattern means something.
    #[must_use]
    pub fn from_float(bits: u32) -> Self {
        if let Some(special) = Special::ALL
            .into_iter()
            .find(|special| special.float() == bits)
        {
            return Self::Special(special);
        }
        let [exponent, ..] = bits.to_be_bytes();
        Self::new((bits << 8).cast_signed() >> 8, exponent.cast_signed())
    }

    /// The 16 bits of an SFLOAT; `None` if mantissa or exponent do not fit, or would read as a special value
    /// (2046, 2047 and -2046 to -2048 at exponent 0).
    #[must_use]
    pub fn to_sfloat(self) -> Option<u16> {
        let Decimal { mantissa, exponent } = match self {
            Self::Finite(decimal) => decimal,
            Self::Special(special) => return Some(special.sfloat()),
        };
        if !(-2048..=2047).contains(&mantissa) || !(-8..=7).contains(&exponent) {
            return None;
        }
        let digits = i16::try_from(mantissa).ok()?.cast_unsigned() & 0x0FFF;
        let power = i16::from(exponent).cast_unsigned() << 12;
        let bits = power | digits;
        (Self::from_sfloat(bits) == self).then_some(bits)
    }

    /// The 32 bits of a FLOAT; `None` if the mantissa does not fit, or would read as a special value.
    #[must_use]
    pub fn to_float(self) -> Option<u32> {
        let Decimal { mantissa, exponent } = match self {
            Self::Finite(decimal) => decimal,
            Self::Special(special) => return Some(special.float()),
        };
        if !(-0x0080_0000..=0x007F_FFFF).contains(&mantissa) {
            return None;
        }
        let bits =
            i32::from(exponent).cast_unsigned() << 24 | (mantissa.cast_unsigned() & 0x00FF_FFFF);
        (Self::from_float(bits) == self).then_some(bits)
    }

    /// The nearest `f64`; `None` for special values.
    #[must_use]
    pub fn to_f64(self) -> Option<f64> {
        match self {
            Self::Finite(decimal) => Some(decimal.to_f64()),
            Self::Special(_) => None,
        }
    }
}

impl Decimal {
    /// The nearest `f64`, the same that parsing the decimal text gives.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Powers of ten to 10^22 and our mantissas are exact, so one division or product rounds once.
        const EXACT: [f64; 9] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
        let mantissa = f64::from(self.mantissa);
        match EXACT.get(usize::from(self.exponent.unsigned_abs())) {
            Some(power) if self.exponent < 0 => mantissa / power,
            Some(power) => mantissa * power,
            None => format!("{}e{}", self.mantissa, self.exponent)
                .parse()
                .expect("digits, `e`, digits: always a float literal"),
        }
    }

    /// As a whole number of 10^-`decimals`, rounded half away from zero; `None` at 9e15 and above, where
    /// [`crate::Fixed`] ends.
    #[must_use]
    pub fn scaled(self, decimals: u8) -> Option<i64> {
        let mantissa = i64::from(self.mantissa);
        let shift = i32::from(self.exponent).saturating_add(i32::from(decimals));
        let scaled = match 10_i64.checked_pow(shift.unsigned_abs()) {
            _ if mantissa == 0 => 0,
            Some(power) if shift >= 0 => mantissa.checked_mul(power)?,
            Some(power) => {
                let half = power.checked_div(2)?.saturating_mul(mantissa.signum());
                mantissa.saturating_add(half).checked_div(power)?
            }
            None if shift >= 0 => return None,
            None => 0,
        };
        (scaled.unsigned_abs() < 9_000_000_000_000_000).then_some(scaled)
    }
}
