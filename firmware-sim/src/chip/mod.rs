//! Sensor chips at register level behind embedded-hal 1.0 buses, as their data sheets describe them and as far as real
//! drivers need them. What they sense is given to them sample by sample; what they answer is decided by their registers.
//!
//! * [`bus`]: the I2C bus that several chips share (addresses, NACK, a broken bus), and the SPI device.
//! * [`max30102`]: pulse oximeter. [`ads1292`]: ECG front end. [`lis2dh12`]: accelerometer. [`mlx90614`]: thermometer.
//!
//! Time is counted in samples of the rate that the registers ask for. Must not know: patients, Bluetooth.

pub mod ads1292;
pub mod bus;
pub mod lis2dh12;
pub mod max30102;
pub mod mlx90614;
