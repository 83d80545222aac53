//! Every bit pattern of a FLOAT survives, and its two ways to a number agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitals::gatt::Number;

fuzz_target!(|bits: u32| {
    let number = Number::from_float(bits);
    assert_eq!(number.to_float(), Some(bits));
    if let Number::Finite(decimal) = number {
        let value = number.to_f64().expect("finite");
        assert!(value.is_finite());
        if let Some(scaled) = decimal.scaled(2) {
            assert!((scaled as f64 - value * 100.0).abs() <= 0.5 + value.abs() * 1e-12);
        }
    }
    let narrow = Number::from_sfloat((bits & 0xFFFF) as u16);
    assert_eq!(narrow.to_sfloat(), Some((bits & 0xFFFF) as u16));
});
