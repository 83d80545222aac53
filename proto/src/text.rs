//! Small texts that several crates write and read alike: hexadecimal digits, and "host:port".

use std::fmt::Write as _;

/// Lower-case hexadecimal digits, two a byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// `host:port` (or `[v6]:port`) into host, without brackets, and port.
#[must_use]
pub fn host_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    (!host.is_empty()).then_some((host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        assert_eq!(hex(&[0, 0x0f, 0xa5]), "000fa5");
    }

    #[test]
    fn addresses() {
        assert_eq!(host_port("localhost:1"), Some(("localhost", 1)));
        assert_eq!(host_port("[::1]:8443"), Some(("::1", 8443)));
        assert_eq!(host_port("localhost"), None);
        assert_eq!(host_port(":9"), None);
    }
}
