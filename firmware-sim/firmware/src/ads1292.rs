//! Driver for the TI ADS1292/ADS1292R ECG front end over embedded-hal 1.0 SPI (data sheet SBAS502C).
//!
//! Written here because no published driver for embedded-hal 1.0 exists (November 2026: `ads129xx` 0.2 needs
//! embedded-hal 0.2). Covers what a chest strap needs: identify, configure, convert continuously, lead-off.
//!
//! Invariant: registers are written only while the chip is not in continuous-read mode (SBAS502C 8.5.3.4: RREG and WREG
//! are ignored there).

use embedded_hal::spi::{Operation, SpiDevice};

/// Samples per second that [`Ads1292::start`] asks for.
pub const SAMPLE_RATE_HZ: u32 = 250;
/// Input-referred size of one count at gain 6 and the internal 2.42 V reference, nanovolt: 2.42 V / 6 / 2^23.
pub const COUNT_NANOVOLT: f32 = 48.081;

const RESET: u8 = 0x06;
const START: u8 = 0x08;
const READ_CONTINUOUSLY: u8 = 0x10;
const STOP_READING_CONTINUOUSLY: u8 = 0x11;
const READ_REGISTER: u8 = 0x20;
const WRITE_REGISTER: u8 = 0x40;

const ID: u8 = 0x00;
const CONFIG1: u8 = 0x01;
const CHANNELS_1292R: u8 = 0x73;
const CHANNELS_1292: u8 = 0x53;
/// CONFIG1..LOFF_SENS: 250 samples/s; reference on, lead-off comparators on; lead-off by 6 nA DC; channel 1 electrodes at
/// gain 6; channel 2 off and shorted; right-leg drive on from channel 1; lead-off sensed on channel 1, both sides.
const SETUP: [u8; 7] = [0x01, 0xE0, 0x10, 0x00, 0x81, 0x23, 0x03];

/// Why the front end cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The SPI transfer failed.
    Spi(E),
    /// Another chip answered, or none: its ID register.
    WrongChip(u8),
    /// A register does not hold what was written: its address.
    NotSet(u8),
    /// A frame does not begin with the status word's fixed bits.
    BadFrame,
}

/// One conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Channel 1, counts of [`COUNT_NANOVOLT`].
    pub counts: i32,
    /// At least one electrode is off the skin.
    pub leads_off: bool,
}

/// The driver.
#[derive(Debug)]
pub struct Ads1292<SPI> {
    spi: SPI,
}

impl<SPI: SpiDevice> Ads1292<SPI> {
    /// Resets the chip, checks who it is, configures it and starts conversions at [`SAMPLE_RATE_HZ`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(spi: SPI) -> Result<Self, Error<SPI::Error>> {
        let mut chip = Self { spi };
        chip.command(RESET)?;
        // After a reset the chip reads continuously.
        chip.command(STOP_READING_CONTINUOUSLY)?;
        let mut id = [0];
        chip.read_registers(ID, &mut id)?;
        if id != [CHANNELS_1292R] && id != [CHANNELS_1292] {
            return Err(Error::WrongChip(id[0]));
        }
        chip.write_registers(CONFIG1, &SETUP)?;
        let mut kept = [0; SETUP.len()];
        chip.read_registers(CONFIG1, &mut kept)?;
        if let Some(place) = kept
            .iter()
            .zip(SETUP)
            .position(|(kept, wanted)| *kept != wanted)
        {
            // At most seven registers: the cast keeps the number.
            return Err(Error::NotSet(CONFIG1 + place as u8));
        }
        chip.command(START)?;
        chip.command(READ_CONTINUOUSLY)?;
        Ok(chip)
    }

    /// The conversion that DRDY announced: a status word and two channels, 24 bits each.
    ///
    /// # Errors
    /// [`Error::Spi`], [`Error::BadFrame`].
    pub fn read(&mut self) -> Result<Sample, Error<SPI::Error>> {
        let mut frame = [0; 9];
        self.spi.read(&mut frame).map_err(Error::Spi)?;
        let [s0, s1, _, c0, c1, c2, ..] = frame;
        if s0 & 0xF0 != 0xC0 {
            return Err(Error::BadFrame);
        }
        // LOFF_STAT[4:0] = RLD, IN2N, IN2P, IN1N, IN1P; channel 2 is off.
        let lead_off = (s0 & 0x0F) << 1 | s1 >> 7;
        let counts = i32::from_be_bytes([c0, c1, c2, 0]) >> 8;
        Ok(Sample {
            counts,
            leads_off: lead_off & 0x03 != 0,
        })
    }

    fn command(&mut self, command: u8) -> Result<(), Error<SPI::Error>> {
        self.spi.write(&[command]).map_err(Error::Spi)
    }

    fn write_registers(
        &mut self,
        first: u8,
        values: &[u8; SETUP.len()],
    ) -> Result<(), Error<SPI::Error>> {
        let head = [WRITE_REGISTER | first, (values.len() - 1) as u8];
        self.spi
            .transaction(&mut [Operation::Write(&head), Operation::Write(values)])
            .map_err(Error::Spi)
    }

    fn read_registers(&mut self, first: u8, values: &mut [u8]) -> Result<(), Error<SPI::Error>> {
        let head = [READ_REGISTER | first, (values.len() - 1) as u8];
        self.spi
            .transaction(&mut [Operation::Write(&head), Operation::Read(values)])
            .map_err(Error::Spi)
    }
}
