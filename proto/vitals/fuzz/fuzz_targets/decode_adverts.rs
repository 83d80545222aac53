//! Any octets as an advert, as a line of a watch, as packed samples, and as a health observation: no panic; what
//! is accepted can be written and reads back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitals::gatt::bangle::{BangleLine, Lines};
use vitals::gatt::ghs::Observation;
use vitals::gatt::{Advert, BtHome, PolarRate, pmd};

fuzz_target!(|octets: &[u8]| {
    if let Ok(advert) = Advert::decode(octets) {
        let _ = advert.fields();
    }
    if let Ok(sensor) = BtHome::decode(octets) {
        let written = sensor.encode().expect("what was decoded can be written");
        assert_eq!(BtHome::decode(&written), Ok(sensor));
    }
    if let Ok(observation) = Observation::decode(octets) {
        let written = observation.encode().expect("what was decoded can be written");
        assert_eq!(Observation::decode(&written), Ok(observation));
    }
    let _ = PolarRate::decode(octets);
    let _ = BangleLine::parse(octets);
    let _ = Lines::default().take(octets);
    if let [channels, bits, rest @ ..] = octets {
        let _ = pmd::deltas(rest, *channels, *bits);
    }
});
