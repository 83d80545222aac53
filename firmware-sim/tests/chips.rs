//! Chips against the drivers that read them on real boards, and against what a bad board does.

use embedded_hal::i2c::I2c;
use firmware::ads1292::{Ads1292 as EcgDriver, Error as EcgError};
use firmware::optic::Optic;
use firmware::thermometer::Thermometer;
use firmware_sim::chip::ads1292::Ads1292;
use firmware_sim::chip::bus::{I2cBus, Nack, Shared, SpiChip, SpiWire, Wire, hold, shared};
use firmware_sim::chip::lis2dh12::Lis2dh12;
use firmware_sim::chip::max30102::Max30102;
use firmware_sim::chip::mlx90614::Mlx90614;
use lis2dh12::RawAccelerometer;
use max3010x::{Led, LedPulseWidth, Max3010x, SampleAveraging, SamplingRate};
use vitals::gatt::{Number, Special, TemperatureMeasurement};

/// A bus with one light sensor, and the sensor.
fn light() -> (I2cBus, Shared<Max30102>, Wire) {
    let (chip, wire) = (shared(Max30102::default()), Wire::default());
    (I2cBus::new(vec![chip.clone()], wire.clone()), chip, wire)
}

#[test]
fn the_oximeter_chip_gives_its_driver_the_samples_it_sensed() {
    let (bus, chip, _wire) = light();
    let mut driver = Max3010x::new_max30102(bus)
        .into_oximeter()
        .expect("the bus is whole");
    driver
        .set_sampling_rate(SamplingRate::Sps100)
        .expect("the bus is whole");
    driver
        .set_pulse_width(LedPulseWidth::Pw411)
        .expect("the bus is whole");
    driver
        .set_pulse_amplitude(Led::All, 0x20)
        .expect("the bus is whole");
    assert_eq!(hold(&chip).rate_hz(), Some(100.0));
    driver
        .set_sample_averaging(SampleAveraging::Sa4)
        .expect("the bus is whole");
    assert_eq!(
        hold(&chip).rate_hz(),
        Some(25.0),
        "averaging makes samples rarer"
    );
    let mut words = [0; 8];
    assert_eq!(
        driver.read_fifo(&mut words).expect("the bus is whole"),
        0,
        "nothing sensed yet"
    );
    hold(&chip).sense(0.9, 1.0);
    hold(&chip).sense(0.0, 0.5);
    assert_eq!(driver.read_fifo(&mut words).expect("the bus is whole"), 2);
    let [red, infrared, dark, half, ..] = words;
    assert!(red > 80_000 && infrared > red, "{words:?}");
    assert_eq!((dark, half), (0, infrared / 2));
    assert_eq!(
        driver.read_fifo(&mut words).expect("the bus is whole"),
        0,
        "read once"
    );
    driver.shutdown().expect("the bus is whole");
    assert_eq!(hold(&chip).rate_hz(), None, "shut down");
}

#[test]
fn the_oximeter_chips_fifo_overflows_as_its_data_sheet_says() {
    let (bus, chip, _wire) = light();
    let mut driver = Max3010x::new_max30102(bus)
        .into_oximeter()
        .expect("the bus is whole");
    for _ in 0..40 {
        hold(&chip).sense(1.0, 1.0);
    }
    assert_eq!(
        driver
            .get_overflow_sample_count()
            .expect("the bus is whole"),
        8
    );
    // Both pointers are equal when it is full: the driver cannot tell that from empty.
    assert_eq!(
        driver
            .get_available_sample_count()
            .expect("the bus is whole"),
        0
    );
    driver.clear_fifo().expect("the bus is whole");
    assert_eq!(
        driver
            .get_overflow_sample_count()
            .expect("the bus is whole"),
        0
    );
}

#[test]
fn a_wrong_address_and_a_cut_wire_are_not_acknowledged() {
    let (mut bus, _chip, wire) = light();
    let mut octet = [0];
    assert_eq!(
        bus.write_read(0x58, &[0xFF], &mut octet),
        Err(Nack::Address)
    );
    assert_eq!(bus.write_read(0x57, &[0xFF], &mut octet), Ok(()));
    assert_eq!(octet, [0x15], "part id");
    bus.write(0x57, &[0xFF, 0x00])
        .expect("acknowledged, and ignored: the register is read only");
    bus.write_read(0x57, &[0xFF], &mut octet)
        .expect("the bus is whole");
    assert_eq!(octet, [0x15]);
    wire.set_broken(true);
    assert_eq!(
        bus.write_read(0x57, &[0xFF], &mut octet),
        Err(Nack::Address)
    );
    assert!(Optic::start(bus).is_err());
}

#[test]
fn the_accelerometer_gives_its_driver_what_it_felt_in_order() {
    let chip = shared(Lis2dh12::default());
    let bus = I2cBus::new(vec![chip.clone()], Wire::default());
    let mut driver =
        lis2dh12::Lis2dh12::new(bus, lis2dh12::SlaveAddr::Default).expect("it answers");
    assert_eq!(hold(&chip).rate_hz(), None, "powered down until told");
    driver
        .set_odr(lis2dh12::Odr::Hz50)
        .expect("the bus is whole");
    driver.enable_fifo(true).expect("the bus is whole");
    driver
        .set_fm(lis2dh12::FifoMode::Stream)
        .expect("the bus is whole");
    assert_eq!(hold(&chip).rate_hz(), Some(50.0));
    hold(&chip).sense([0.5, -0.25, 1.0]);
    hold(&chip).sense([9.0, 0.0, -1.0]);
    assert_eq!(driver.get_stored_samples().expect("the bus is whole"), 2);
    let first = driver.accel_raw().expect("the bus is whole");
    assert_eq!([first.x, first.y, first.z], [8_000, -4_000, 16_000]);
    let second = driver.accel_raw().expect("the bus is whole");
    assert_eq!(
        [second.x, second.z],
        [32_752, -16_000],
        "clipped at the range"
    );
    assert_eq!(driver.get_stored_samples().expect("the bus is whole"), 0);
}

#[test]
fn another_chip_in_the_accelerometers_place_is_refused() {
    let (bus, _chip, _wire) = light();
    assert!(lis2dh12::Lis2dh12::new(bus, lis2dh12::SlaveAddr::Default).is_err());
}

#[test]
fn a_garbled_thermometer_gives_no_number() {
    let chip = shared(Mlx90614::default());
    let bus = I2cBus::new(vec![chip.clone()], Wire::default());
    let mut firmware = Thermometer::start(bus).expect("it answers");
    hold(&chip).sense(37.3, 22.0);
    let mut measured = || {
        let value = firmware.measurement().expect("always sent");
        TemperatureMeasurement::decode(&value.bytes)
            .expect("well formed")
            .value
    };
    let Number::Finite(celsius) = measured() else {
        panic!("a number")
    };
    assert!((celsius.to_f64() - 37.3).abs() < 0.02, "{celsius:?}");
    hold(&chip).garble();
    assert_eq!(measured(), Number::Special(Special::NaN));
}

#[test]
fn the_ecg_chip_converts_at_the_gain_its_driver_set_and_feels_its_leads() {
    let (chip, wire) = (shared(Ads1292::default()), Wire::default());
    assert_eq!(hold(&chip).rate_hz(), None, "stopped until told");
    let mut driver =
        EcgDriver::start(SpiWire::new(chip.clone(), wire.clone())).expect("it answers");
    assert_eq!(hold(&chip).rate_hz(), Some(250.0));
    hold(&chip).convert(1.0, true);
    let sample = driver.read().expect("the wire is whole");
    let microvolt = sample.counts as f32 * firmware::ads1292::COUNT_NANOVOLT / 1000.0;
    assert!(
        (microvolt - 1000.0).abs() < 0.2 && !sample.leads_off,
        "{microvolt} uV, {sample:?}"
    );
    hold(&chip).convert(-1.0, true);
    assert!(driver.read().expect("the wire is whole").counts < -20_000);
    hold(&chip).convert(0.0, false);
    assert!(driver.read().expect("the wire is whole").leads_off);
    wire.set_broken(true);
    // Ones do not begin with 1100.
    assert_eq!(driver.read(), Err(EcgError::BadFrame));
}

#[test]
fn the_ecg_chip_ignores_register_commands_while_it_reads_continuously() {
    let chip = shared(Ads1292::default());
    let _driver =
        EcgDriver::start(SpiWire::new(chip.clone(), Wire::default())).expect("it answers");
    let mut chip = hold(&chip);
    for octet in [0x41, 0x00, 0x07] {
        if octet == 0x41 {
            chip.select();
        }
        chip.exchange(octet);
    }
    assert_eq!(chip.rate_hz(), Some(250.0), "CONFIG1 was not written");
    chip.select();
    chip.exchange(0x11);
    chip.select();
    for octet in [0x41, 0x00, 0x03] {
        chip.exchange(octet);
    }
    assert_eq!(chip.rate_hz(), Some(1000.0), "after SDATAC it is");
}

#[test]
fn a_missing_ecg_chip_is_noticed_at_start() {
    let wire = Wire::default();
    wire.set_broken(true);
    let missing = EcgDriver::start(SpiWire::new(shared(Ads1292::default()), wire));
    assert!(matches!(missing, Err(EcgError::WrongChip(0xFF))));
}
