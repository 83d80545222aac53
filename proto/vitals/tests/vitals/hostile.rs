//! Octets that no sensor should send: nothing panics, and what is accepted can be written again.

use proptest::prelude::*;
use vitals::gatt::{self, Characteristic, DecodeError, Layout};
use vitals::observe::{Memory, Origin, Sequences, readings};
use vitals::{SourceId, Span, Time};

fn survive(octets: &[u8], received: Time) {
    for characteristic in Characteristic::ALL.iter().copied() {
        survive_as(Layout::Sig, characteristic, octets, received);
    }
    survive_as(
        Layout::MiScale,
        Characteristic::BodyComposition,
        octets,
        received,
    );
}

fn survive_as(layout: Layout, characteristic: Characteristic, octets: &[u8], received: Time) {
    let Ok(decoded) = layout.decode(characteristic, octets) else {
        return;
    };
    let written = decoded.encode().expect("what was decoded can be written");
    assert_eq!(
        layout.decode(characteristic, &written).as_ref(),
        Ok(&decoded),
        "{characteristic:?} {octets:02x?}"
    );
    let origin = Origin {
        source: SourceId(1),
        received,
        clock_ahead: Span::ZERO,
    };
    let first = readings(
        &decoded,
        origin,
        &mut Memory::default(),
        &mut Sequences::default(),
    );
    assert!(
        first
            .iter()
            .all(|reading| reading.effective <= received && reading.received == received)
    );
    let later = Origin {
        received: received + Span::from_secs(1),
        ..origin
    };
    assert_eq!(
        first.len(),
        readings(
            &decoded,
            later,
            &mut Memory::default(),
            &mut Sequences::default()
        )
        .len()
    );
}

proptest! {
    #[test]
    fn arbitrary_octets(octets in proptest::collection::vec(any::<u8>(), 0..40), at in any::<i64>()) {
        survive(&octets, Time::from_micros(at));
    }
}

#[test]
fn longer_than_an_attribute_is_refused() {
    for characteristic in Characteristic::ALL.iter().copied() {
        let error = gatt::decode(characteristic, &[0x10; 513]).unwrap_err();
        assert_eq!(error, DecodeError::TooLong { octets: 513 });
    }
}
