//! MAX30102 pulse oximeter (Maxim 19-7740 rev 1): two LEDs, an 18-bit converter, a FIFO of 32 samples.

use std::collections::VecDeque;

use super::bus::{I2cChip, Nack};

/// Its only address.
const ADDRESS: u8 = 0x57;
const FIFO_DEPTH: usize = 32;
const FIFO_WRITE: u8 = 0x04;
const OVERFLOW: u8 = 0x05;
const FIFO_READ: u8 = 0x06;
const FIFO_DATA: u8 = 0x07;
const FIFO_CONFIGURATION: u8 = 0x08;
const MODE: u8 = 0x09;
const SPO2: u8 = 0x0A;
const LED1: u8 = 0x0C;
const LED2: u8 = 0x0D;
const REVISION: u8 = 0xFE;
const PART: u8 = 0xFF;
/// Samples per second by SPO2_SR.
const RATES_HZ: [f64; 8] = [50.0, 100.0, 200.0, 400.0, 800.0, 1000.0, 1600.0, 3200.0];
/// Samples averaged by SMP_AVE (110 and 111 mean 32 too).
const AVERAGED: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0, 32.0];
/// Counts from still tissue for each 0.2 mA of LED current at a full scale of 4096 nA: fits a finger.
const INFRARED_COUNTS: f64 = 3_400.0;
const RED_COUNTS: f64 = 2_900.0;
const FULL_SCALE: f64 = 262_143.0;

/// The chip.
#[derive(Debug)]
pub struct Max30102 {
    registers: [u8; 256],
    pointer: u8,
    fifo: VecDeque<[u8; 6]>,
    /// Octets of the oldest sample that were read.
    read_octets: usize,
    write_place: u8,
    read_place: u8,
}

impl Default for Max30102 {
    fn default() -> Self {
        let mut registers = [0; 256];
        registers[usize::from(PART)] = 0x15;
        registers[usize::from(REVISION)] = 0x03;
        // PWR_RDY.
        registers[0] = 0x01;
        let fifo = VecDeque::with_capacity(FIFO_DEPTH);
        Self {
            registers,
            pointer: 0,
            fifo,
            read_octets: 0,
            write_place: 0,
            read_place: 0,
        }
    }
}

impl Max30102 {
    fn register(&self, register: u8) -> u8 {
        self.registers[usize::from(register)]
    }

    /// Samples per second that reach the FIFO; `None` while shut down or in another mode than SpO2.
    #[must_use]
    pub fn rate_hz(&self) -> Option<f64> {
        let mode = self.register(MODE);
        let measures = mode & 0x80 == 0 && mode & 0x07 == 0x03;
        let rate = RATES_HZ[usize::from(self.register(SPO2) >> 2 & 0x07)];
        let averaged = AVERAGED[usize::from(self.register(FIFO_CONFIGURATION) >> 5)];
        measures.then_some(rate / averaged)
    }

    /// The light that comes back at the next sample, shares of what still tissue gives; 0 = nothing in front.
    pub fn sense(&mut self, red: f64, infrared: f64) {
        // Full scale doubles with each step of ADC_RGE; 01 (4096 nA) is what the counts are given for.
        let range = f64::from(1u8 << (self.register(SPO2) >> 5 & 0x03)) / 2.0;
        let counts = |share: f64, current: u8, scale: f64| {
            let light = (share * scale * f64::from(current) / range).clamp(0.0, FULL_SCALE);
            // Clamped to 18 bits; shorter pulses resolve less and are left-justified (data sheet table 1).
            let lost = 3 - (self.register(SPO2) & 0x03);
            ((light as u32) >> lost) << lost
        };
        let [_, r0, r1, r2] = counts(red, self.register(LED1), RED_COUNTS).to_be_bytes();
        let [_, i0, i1, i2] = counts(infrared, self.register(LED2), INFRARED_COUNTS).to_be_bytes();
        self.push([r0, r1, r2, i0, i1, i2]);
    }

    fn push(&mut self, sample: [u8; 6]) {
        if self.fifo.len() == FIFO_DEPTH {
            let lost = &mut self.registers[usize::from(OVERFLOW)];
            *lost = (*lost + 1).min(0x1F);
            let rolls_over = self.register(FIFO_CONFIGURATION) & 0x10 != 0;
            if !rolls_over {
                return;
            }
            self.fifo.pop_front();
            self.read_place = (self.read_place + 1) % 32;
            self.read_octets = 0;
        }
        self.fifo.push_back(sample);
        self.write_place = (self.write_place + 1) % 32;
    }

    fn read_one(&mut self) -> u8 {
        let register = self.pointer;
        if register == FIFO_DATA {
            return self.read_fifo();
        }
        self.pointer = self.pointer.wrapping_add(1);
        match register {
            FIFO_WRITE => self.write_place,
            FIFO_READ => self.read_place,
            // Reading clears the interrupt status.
            0 => std::mem::take(&mut self.registers[0]),
            other => self.register(other),
        }
    }

    fn read_fifo(&mut self) -> u8 {
        let Some(sample) = self.fifo.front() else {
            return 0;
        };
        let octet = sample[self.read_octets];
        self.read_octets += 1;
        if self.read_octets == sample.len() {
            self.read_octets = 0;
            self.fifo.pop_front();
            self.read_place = (self.read_place + 1) % 32;
            self.registers[usize::from(OVERFLOW)] = 0;
        }
        octet
    }

    fn write_one(&mut self, register: u8, value: u8) {
        match register {
            MODE if value & 0x40 != 0 => *self = Self::default(),
            FIFO_WRITE | FIFO_READ => {
                // Drivers only ever clear both.
                self.fifo.clear();
                self.read_octets = 0;
                self.registers[usize::from(OVERFLOW)] = 0;
                self.write_place = value & 0x1F;
                self.read_place = value & 0x1F;
            }
            // Read only.
            0 | 1 | REVISION | PART => {}
            other => self.registers[usize::from(other)] = value,
        }
    }
}

impl I2cChip for Max30102 {
    fn address(&self) -> u8 {
        ADDRESS
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        let Some((first, values)) = bytes.split_first() else {
            return Ok(());
        };
        self.pointer = *first;
        for value in values {
            self.write_one(self.pointer, *value);
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) {
        into.iter_mut().for_each(|byte| *byte = self.read_one());
    }
}
