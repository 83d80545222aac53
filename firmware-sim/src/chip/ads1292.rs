//! ADS1292R ECG front end (TI SBAS502C): commands, twelve registers, 24-bit conversions, lead-off.

use super::bus::SpiChip;

const CONFIG1: usize = 1;
const CONFIG2: usize = 2;
const CH1SET: usize = 4;
const LOFF_SENS: usize = 7;
const ID_1292R: u8 = 0x73;
/// Values after a reset, in the order of the addresses (SBAS502C table 16).
const AFTER_RESET: [u8; 12] = [
    ID_1292R, 0x02, 0x80, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x0C,
];
/// Samples per second by DR.
const RATES_HZ: [f64; 8] = [125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 8000.0];
/// Gain by GAINn.
const GAINS: [f64; 8] = [6.0, 1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 6.0];
const REFERENCE_MV: f64 = 2420.0;
const FULL_SCALE: f64 = 8_388_607.0;

/// What the next octets mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expecting {
    Command,
    ReadCount(usize),
    WriteCount(usize),
    Reading { register: usize, left: usize },
    Writing { register: usize, left: usize },
}

/// The chip.
#[derive(Debug)]
pub struct Ads1292 {
    registers: [u8; 12],
    converting: bool,
    continuous: bool,
    expecting: Expecting,
    frame: [u8; 9],
    /// Octets of the frame that were clocked out since chip select fell.
    clocked: usize,
}

impl Default for Ads1292 {
    fn default() -> Self {
        Self {
            registers: AFTER_RESET,
            converting: false,
            continuous: true,
            expecting: Expecting::Command,
            frame: [0xC0, 0, 0, 0, 0, 0, 0, 0, 0],
            clocked: 0,
        }
    }
}

impl Ads1292 {
    /// Conversions per second; `None` while stopped or while channel 1 is off.
    #[must_use]
    pub fn rate_hz(&self) -> Option<f64> {
        let on = self.registers[CH1SET] & 0x80 == 0;
        (self.converting && on).then(|| RATES_HZ[usize::from(self.registers[CONFIG1] & 0x07)])
    }

    /// The voltage between the electrodes of channel 1 at the next conversion, and whether they touch skin. DRDY falls.
    pub fn convert(&mut self, millivolt: f64, leads_on: bool) {
        let gain = GAINS[usize::from(self.registers[CH1SET] >> 4 & 0x07)];
        // Open inputs drift to the rail that the lead-off current pulls them to.
        let millivolt = if leads_on { millivolt } else { REFERENCE_MV };
        let counts =
            (millivolt * gain / REFERENCE_MV * FULL_SCALE).clamp(-FULL_SCALE - 1.0, FULL_SCALE);
        let [_, c0, c1, c2] = (counts as i32).to_be_bytes();
        let senses = self.registers[CONFIG2] & 0x40 != 0 && self.registers[LOFF_SENS] & 0x03 != 0;
        let lead_off = if senses && !leads_on {
            self.registers[LOFF_SENS] & 0x03
        } else {
            0
        };
        // 1100, then LOFF_STAT[4:0], GPIO[1:0] and 13 zeros.
        self.frame = [
            0xC0 | lead_off >> 1,
            (lead_off & 1) << 7,
            0,
            c0,
            c1,
            c2,
            0,
            0,
            0,
        ];
    }

    fn command(&mut self, command: u8) -> Expecting {
        let register = usize::from(command & 0x1F);
        match command {
            0x06 => *self = Self::default(),
            0x08 => self.converting = true,
            0x0A => self.converting = false,
            0x10 => self.continuous = true,
            0x11 => self.continuous = false,
            // Register commands are ignored while reading continuously.
            0x20..=0x3F if !self.continuous => return Expecting::ReadCount(register),
            0x40..=0x5F if !self.continuous => return Expecting::WriteCount(register),
            _ => {}
        }
        Expecting::Command
    }

    fn write_register(&mut self, register: usize, value: u8) {
        let kept = match register {
            // ID and LOFF_STAT are read only.
            0 | 8 => return,
            CONFIG2 => value | 0x80,
            _ => value,
        };
        if let Some(place) = self.registers.get_mut(register) {
            *place = kept;
        }
    }
}

impl SpiChip for Ads1292 {
    fn select(&mut self) {
        self.clocked = 0;
        self.expecting = Expecting::Command;
    }

    fn exchange(&mut self, octet: u8) -> u8 {
        let place = self.clocked;
        self.clocked += 1;
        match self.expecting {
            Expecting::Command => {
                self.expecting = self.command(octet);
                if self.continuous {
                    self.frame.get(place).copied().unwrap_or(0)
                } else {
                    0
                }
            }
            Expecting::ReadCount(register) => {
                self.expecting = Expecting::Reading {
                    register,
                    left: usize::from(octet & 0x1F) + 1,
                };
                0
            }
            Expecting::WriteCount(register) => {
                self.expecting = Expecting::Writing {
                    register,
                    left: usize::from(octet & 0x1F) + 1,
                };
                0
            }
            Expecting::Reading { register, left } => {
                self.expecting = Self::after(left, |left| Expecting::Reading {
                    register: register + 1,
                    left,
                });
                self.registers.get(register).copied().unwrap_or(0)
            }
            Expecting::Writing { register, left } => {
                self.write_register(register, octet);
                self.expecting = Self::after(left, |left| Expecting::Writing {
                    register: register + 1,
                    left,
                });
                0
            }
        }
    }
}

impl Ads1292 {
    fn after(left: usize, more: impl FnOnce(usize) -> Expecting) -> Expecting {
        if left > 1 {
            more(left - 1)
        } else {
            Expecting::Command
        }
    }
}
