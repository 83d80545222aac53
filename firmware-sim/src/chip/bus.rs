//! The wires: an I2C bus with several chips, and an SPI device with one. Handles are clones that share the chips.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use embedded_hal::{i2c, spi};

/// A chip that two sides hold: the bus, and the world that it senses.
pub type Shared<C> = Arc<Mutex<C>>;

/// A chip to share.
#[must_use]
pub fn shared<C>(chip: C) -> Shared<C> {
    Arc::new(Mutex::new(chip))
}

/// The chip, whoever panicked while holding it.
pub fn hold<C: ?Sized>(chip: &Mutex<C>) -> MutexGuard<'_, C> {
    chip.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A chip on an I2C bus.
pub trait I2cChip {
    /// Its address, seven bits.
    fn address(&self) -> u8;
    /// The master writes.
    ///
    /// # Errors
    /// A chip that does not take the data.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack>;
    /// The master reads.
    fn read(&mut self, into: &mut [u8]);
}

/// No acknowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nack {
    /// Nobody has that address, or the bus is broken.
    Address,
    /// The chip did not take the data.
    Data,
}

impl i2c::Error for Nack {
    fn kind(&self) -> i2c::ErrorKind {
        let source = match self {
            Self::Address => i2c::NoAcknowledgeSource::Address,
            Self::Data => i2c::NoAcknowledgeSource::Data,
        };
        i2c::ErrorKind::NoAcknowledge(source)
    }
}

impl spi::Error for Nack {
    fn kind(&self) -> spi::ErrorKind {
        spi::ErrorKind::Other
    }
}

/// A wire that can be cut.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<AtomicBool>);

impl Wire {
    /// Cuts or mends it.
    pub fn set_broken(&self, broken: bool) {
        self.0.store(broken, Ordering::Relaxed);
    }

    fn broken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A handle of an I2C bus.
#[derive(Clone)]
pub struct I2cBus {
    chips: Vec<Shared<dyn I2cChip + Send>>,
    wire: Wire,
}

impl I2cBus {
    /// A bus with these chips.
    #[must_use]
    pub fn new(chips: Vec<Shared<dyn I2cChip + Send>>, wire: Wire) -> Self {
        Self { chips, wire }
    }
}

impl std::fmt::Debug for I2cBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("I2cBus")
            .field("chips", &self.chips.len())
            .field("wire", &self.wire)
            .finish()
    }
}

impl i2c::ErrorType for I2cBus {
    type Error = Nack;
}

impl i2c::I2c for I2cBus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), Nack> {
        if self.wire.broken() {
            return Err(Nack::Address);
        }
        let chip = self
            .chips
            .iter()
            .find(|chip| hold(chip).address() == address)
            .ok_or(Nack::Address)?;
        let mut chip = hold(chip);
        for operation in operations {
            match operation {
                i2c::Operation::Write(bytes) => chip.write(bytes)?,
                i2c::Operation::Read(into) => chip.read(into),
            }
        }
        Ok(())
    }
}

/// A chip behind SPI with a chip select of its own.
pub trait SpiChip {
    /// Chip select falls.
    fn select(&mut self);
    /// One octet each way.
    fn exchange(&mut self, octet: u8) -> u8;
}

/// A handle of an SPI device.
#[derive(Debug)]
pub struct SpiWire<C> {
    chip: Shared<C>,
    wire: Wire,
}

impl<C> SpiWire<C> {
    /// To this chip.
    #[must_use]
    pub fn new(chip: Shared<C>, wire: Wire) -> Self {
        Self { chip, wire }
    }
}

impl<C> spi::ErrorType for SpiWire<C> {
    type Error = Nack;
}

impl<C: SpiChip> spi::SpiDevice for SpiWire<C> {
    fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), Nack> {
        let broken = self.wire.broken();
        let mut chip = hold(&self.chip);
        chip.select();
        // SPI has no acknowledge: a cut wire reads as ones.
        let mut exchange = |octet: u8| if broken { 0xFF } else { chip.exchange(octet) };
        for operation in operations {
            match operation {
                spi::Operation::Write(bytes) => bytes.iter().for_each(|byte| {
                    exchange(*byte);
                }),
                spi::Operation::Read(into) => into.iter_mut().for_each(|byte| *byte = exchange(0)),
                spi::Operation::Transfer(into, from) => {
                    for (place, byte) in into.iter_mut().enumerate() {
                        *byte = exchange(from.get(place).copied().unwrap_or(0));
                    }
                }
                spi::Operation::TransferInPlace(bytes) => {
                    bytes.iter_mut().for_each(|byte| *byte = exchange(*byte));
                }
                spi::Operation::DelayNs(_) => {}
            }
        }
        Ok(())
    }
}
