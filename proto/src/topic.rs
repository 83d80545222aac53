//! MQTT topics: `vt1/<gateway>/up` and `vt1/<gateway>/down`, and nothing else.
//!
//! A topic names a gateway, never a patient. The message is one `GatewayToCentre` (up) or `CentreToGateway`
//! (down), encoded.

use vitals::GatewayId;

/// Which way messages of a topic go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Gateway to centre.
    Up,
    /// Centre to gateway.
    Down,
}

/// The topic that a gateway publishes on.
#[must_use]
pub fn up(gateway: &GatewayId) -> String {
    format!("vt1/{gateway}/up")
}

/// The topic that a gateway subscribes to.
#[must_use]
pub fn down(gateway: &GatewayId) -> String {
    format!("vt1/{gateway}/down")
}

/// Whose topic it is and which way it goes; `None` for every text that [`up`] and [`down`] do not make
/// (wildcards included).
#[must_use]
pub fn parse(topic: &str) -> Option<(GatewayId, Direction)> {
    let (gateway, direction) = topic.strip_prefix("vt1/")?.split_once('/')?;
    let direction = match direction {
        "up" => Direction::Up,
        "down" => Direction::Down,
        _ => return None,
    };
    Some((GatewayId::parse(gateway)?, direction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_parses_and_nothing_else_does() {
        let gateway = GatewayId::parse("g-17").expect("fine id");
        assert_eq!(parse(&up(&gateway)), Some((gateway.clone(), Direction::Up)));
        assert_eq!(parse(&down(&gateway)), Some((gateway, Direction::Down)));
        for wrong in [
            "",
            "vt1",
            "vt1/g",
            "vt1//up",
            "vt1/+/up",
            "vt1/#",
            "vt2/g/up",
            "vt1/g/up/x",
            "vt1/g/UP",
            "/vt1/g/up",
            "vt1/G/up",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
