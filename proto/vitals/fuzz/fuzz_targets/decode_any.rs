//! Any octets as any characteristic: no panic; what is accepted can be written and reads back the same; its
//! readings and blocks never lie in the future.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitals::gatt::{Characteristic, Layout};
use vitals::observe::{Memory, Origin, Sequences, readings, waveforms};
use vitals::{SourceId, Span, Time};

fuzz_target!(|octets: &[u8]| {
    for characteristic in Characteristic::ALL.iter().copied() {
        for layout in [Layout::Sig, Layout::MiScale] {
            let Ok(decoded) = layout.decode(characteristic, octets) else {
                continue;
            };
            let written = decoded.encode().expect("what was decoded can be written");
            assert_eq!(
                layout.decode(characteristic, &written).as_ref(),
                Ok(&decoded)
            );
            let _ = decoded.fields();
            let received = Time::from_micros(1_800_000_000_000_000);
            let origin = Origin {
                source: SourceId(1),
                received,
                clock_ahead: Span::ZERO,
            };
            let (mut memory, mut sequences) = (Memory::default(), Sequences::default());
            let readings = readings(&decoded, origin, &mut memory, &mut sequences);
            assert!(readings.iter().all(|reading| reading.effective <= received));
            let blocks = waveforms(&decoded, origin, &mut memory, &mut sequences);
            assert!(blocks.iter().flatten().all(|block| block.start <= received));
        }
    }
});
