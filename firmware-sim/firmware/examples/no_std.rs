//! A library without the standard library that holds the firmware: it only has to compile (`tests/no_std.rs` asks). Any
//! crate below that needs `std` brings a second panic handler (E0152). With feature `use-std` it must not compile.
#![no_std]

#[cfg(feature = "use-std")]
extern crate std;

pub use firmware::{optic, oximeter, strap, thermometer, watch};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
