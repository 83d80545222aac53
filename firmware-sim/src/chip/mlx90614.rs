//! MLX90614 infrared thermometer (Melexis 3901090614): SMBus words with a packet error code.

use super::bus::{I2cChip, Nack};

/// As shipped.
const ADDRESS: u8 = 0x5A;
const AMBIENT: u8 = 0x06;
const OBJECT: u8 = 0x07;
const EMISSIVITY: u8 = 0x24;

/// The chip.
#[derive(Debug)]
pub struct Mlx90614 {
    command: u8,
    ambient: f64,
    object: f64,
    garbled: bool,
}

impl Default for Mlx90614 {
    fn default() -> Self {
        Self {
            command: 0,
            ambient: 22.0,
            object: 22.0,
            garbled: false,
        }
    }
}

impl Mlx90614 {
    /// What the sensor sees and its own temperature, degrees Celsius.
    pub fn sense(&mut self, object: f64, ambient: f64) {
        self.object = object;
        self.ambient = ambient;
    }

    /// From now on its packet error codes are wrong.
    pub fn garble(&mut self) {
        self.garbled = true;
    }

    fn word(&self) -> u16 {
        // 0.02 K a digit; in range for every temperature on earth.
        let kelvin = |celsius: f64| ((celsius + 273.15) / 0.02).round() as u16;
        match self.command {
            AMBIENT => kelvin(self.ambient),
            OBJECT => kelvin(self.object),
            EMISSIVITY => 0xFFFF,
            _ => 0,
        }
    }
}

impl I2cChip for Mlx90614 {
    fn address(&self) -> u8 {
        ADDRESS
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Nack> {
        match bytes {
            [] => Ok(()),
            [command] => {
                self.command = *command;
                Ok(())
            }
            // The cells of this simulation cannot be written.
            _ => Err(Nack::Data),
        }
    }

    fn read(&mut self, into: &mut [u8]) {
        let [low, high] = self.word().to_le_bytes();
        let code = packet_error_code(&[ADDRESS << 1, self.command, ADDRESS << 1 | 1, low, high]);
        let answer = [low, high, if self.garbled { !code } else { code }];
        for (place, byte) in into.iter_mut().enumerate() {
            *byte = answer.get(place).copied().unwrap_or(0xFF);
        }
    }
}

/// CRC-8 of SMBus: polynomial 0x07, nothing reflected.
fn packet_error_code(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |code, byte| {
        (0..8).fold(code ^ byte, |code, _| {
            if code & 0x80 != 0 {
                code << 1 ^ 0x07
            } else {
                code << 1
            }
        })
    })
}
