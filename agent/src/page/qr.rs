//! The one module that knows the QR code library: an address as a picture that a telephone reads.
//!
//! Must not know: what the address is for.

use std::fmt::Write as _;

use qrcodegen::{QrCode, QrCodeEcc};

/// Modules of white around the code, as the standard (ISO/IEC 18004) wants them.
const QUIET: i32 = 4;

/// An SVG whose `label` says what it is; `None`: the text is too long for a code.
#[must_use]
pub fn svg(text: &str, label: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        for x in 0..size {
            if code.get_module(x, y) {
                let _infallible = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
            }
        }
    }
    let whole = size + 2 * QUIET;
    Some(format!(
        "<svg class=\"qr\" viewBox=\"0 0 {whole} {whole}\" role=\"img\" aria-label=\"{label}\" shape-rendering=\"crispEdges\">\
         <rect class=\"qr-ground\" width=\"{whole}\" height=\"{whole}\"/><path class=\"qr-ink\" d=\"{path}\"/></svg>"
    ))
}
