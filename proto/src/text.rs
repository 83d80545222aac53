//! Small texts that several crates write and read alike: hexadecimal digits, "host:port", and which host is this machine.

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

/// True if the host of a request (a name or address, with or without a port) is this very machine: names that resolve
/// to it by somebody else's word do not count.
#[must_use]
pub fn is_here(host: &str) -> bool {
    let name = host_port(host).map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits() {
        assert_eq!(hex(&[0, 0x0f, 0xa5]), "000fa5");
    }

    #[test]
    fn this_machine_and_no_other() {
        for host in [
            "localhost:8480",
            "LOCALHOST",
            "127.0.0.1",
            "[::1]:9464",
            "[::1]",
        ] {
            assert!(is_here(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:8480",
            "10.0.0.1:80",
        ] {
            assert!(!is_here(host), "{host}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(host_port("localhost:1"), Some(("localhost", 1)));
        assert_eq!(host_port("[::1]:8443"), Some(("::1", 8443)));
        assert_eq!(host_port("localhost"), None);
        assert_eq!(host_port(":9"), None);
    }
}
