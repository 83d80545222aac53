//! LIS2DH12 accelerometer (ST DocID025056): 12 bits, left-justified, a FIFO of 32 samples.

use std::collections::VecDeque;

use super::bus::{I2cChip, Nack};

/// With pin SA0 low.
const ADDRESS: u8 = 0x18;
const FIFO_DEPTH: usize = 32;
const WHO_AM_I: u8 = 0x0F;
const CTRL_REG1: u8 = 0x20;
const CTRL_REG4: u8 = 0x23;
const CTRL_REG5: u8 = 0x24;
const OUT_X_L: u8 = 0x28;
const OUT_Z_H: u8 = 0x2D;
const FIFO_CTRL: u8 = 0x2E;
const FIFO_SRC: u8 = 0x2F;
/// Samples per second by ODR; 0 = off. The two highest rates depend on the mode and are not offered.
const RATES_HZ: [f64; 8] = [0.0, 1.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0];

/// The chip.
#[derive(Debug)]
pub struct Lis2dh12 {
    registers: [u8; 128],
    pointer: u8,
    increments: bool,
    fifo: VecDeque<[u8; 6]>,
    newest: [u8; 6],
}

impl Default for Lis2dh12 {
    fn default() -> Self {
        let mut registers = [0; 128];
        registers[usize::from(WHO_AM_I)] = 0x33;
        registers[usize::from(CTRL_REG1)] = 0x07;
        Self {
            registers,
            pointer: 0,
            increments: false,
            fifo: VecDeque::with_capacity(FIFO_DEPTH),
            newest: [0; 6],
        }
    }
}

impl Lis2dh12 {
    fn register(&self, register: u8) -> u8 {
        self.registers[usize::from(register & 0x7F)]
    }

    /// Samples per second; `None` in power-down.
    #[must_use]
    pub fn rate_hz(&self) -> Option<f64> {
        RATES_HZ
            .get(usize::from(self.register(CTRL_REG1) >> 4))
            .copied()
            .filter(|rate| *rate > 0.0)
    }

    /// Acceleration at the next sample, units of gravity.
    pub fn sense(&mut self, gravity: [f64; 3]) {
        let range = f64::from(2u8 << (self.register(CTRL_REG4) >> 4 & 0x03));
        let enabled = self.register(CTRL_REG1);
        let mut sample = [0; 6];
        for (axis, value) in gravity.into_iter().enumerate() {
            if enabled >> axis & 1 == 0 {
                continue;
            }
            // Sixteen digits a count of 12 bits: 1 mg is 16 at 2 g, as the data sheet's sensitivity says.
            let counts = (value * 1000.0 * 2.0 / range).clamp(-2048.0, 2047.0) as i16;
            let [low, high] = (counts << 4).to_le_bytes();
            sample[2 * axis] = low;
            sample[2 * axis + 1] = high;
        }
        self.newest = sample;
        let mode = self.register(FIFO_CTRL) >> 6;
        if self.register(CTRL_REG5) & 0x40 == 0 || mode == 0 {
            return;
        }
        if self.fifo.len() == FIFO_DEPTH {
            // FIFO mode stops when full, stream mode drops the oldest.
            if mode == 1 {
                return;
            }
            self.fifo.pop_front();
        }
        self.fifo.push_back(sample);
    }

    fn read_one(&mut self) -> u8 {
        let register = self.pointer;
        if self.increments {
            self.pointer = self.pointer.wrapping_add(1) & 0x7F;
        }
        match register {
            OUT_X_L..=OUT_Z_H => {
                let place = usize::from(register - OUT_X_L);
                let octet = self.fifo.front().unwrap_or(&self.newest)[place];
                if register == OUT_Z_H {
                    self.fifo.pop_front();
                }
                octet
            }
            FIFO_SRC => {
                let full = if self.fifo.len() == FIFO_DEPTH {
                    0x40
                } else {
                    0
                };
                let empty = if self.fifo.is_empty() { 0x20 } else { 0 };
                // FSS counts to 31; the overrun flag says 32. At most 32 samples: the cast keeps the number.
                full | empty | self.fifo.len().min(31) as u8
            }
            other => self.register(other),
        }
    }
}

impl I2cChip for Lis2dh12 {
    fn address(&self) -> u8 {
        ADDRESS
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let Some((first, values)) = bytes.split_first() else {
            return Ok(());
        };
        self.pointer = first & 0x7F;
        self.increments = first & 0x80 != 0;
        for value in values {
            match self.pointer {
                // Read only.
                WHO_AM_I | OUT_X_L..=OUT_Z_H | FIFO_SRC => {}
                register => {
                    if register == FIFO_CTRL && value >> 6 == 0 {
                        self.fifo.clear();
                    }
                    self.registers[usize::from(register)] = *value;
                }
            }
            if self.increments {
                self.pointer = self.pointer.wrapping_add(1) & 0x7F;
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) {
        into.iter_mut().for_each(|byte| *byte = self.read_one());
    }
}
