//! PURE. What a gateway says of itself, made fit to be kept and shown.
//!
//! Must not know: who shows it.

use proto::v1::{GatewayFinding, GatewayHealth};
use proto::wire::clean;

/// Findings, as the contract has it.
const FINDINGS: usize = 16;
/// Devices of one gateway.
const CLOCKS: usize = 256;
/// Characters of what was found, or of what to do.
const TEXT: usize = 400;
/// Characters of the word for what was looked at.
const WORD: usize = 24;

/// No more than what the contract allows, without control characters.
pub(super) fn bounded(mut health: GatewayHealth) -> GatewayHealth {
    health.findings.truncate(FINDINGS);
    for finding in &mut health.findings {
        *finding = GatewayFinding {
            check: clean(&finding.check, WORD),
            broken: finding.broken,
            found: clean(&finding.found, TEXT),
            remedy: clean(&finding.remedy, TEXT),
        };
    }
    health.clocks.truncate(CLOCKS);
    health.clocks.retain(|clock| clock.stream.len() == 16);
    health
}

#[cfg(test)]
mod tests {
    use proto::v1::DeviceClock;

    use super::*;

    #[test]
    fn a_hostile_gateway_says_no_more_than_fits() {
        let finding = GatewayFinding {
            check: "disk\u{1b}[2J".repeat(40),
            found: "a\n".repeat(4000),
            ..GatewayFinding::default()
        };
        let clock = |length| DeviceClock {
            stream: vec![1; length],
            ..DeviceClock::default()
        };
        let said = GatewayHealth {
            findings: vec![finding; 100],
            clocks: vec![clock(16), clock(15)],
            looked_us: 5,
        };
        let kept = bounded(said);
        assert_eq!((kept.findings.len(), kept.clocks.len()), (FINDINGS, 1));
        for finding in &kept.findings {
            assert!(finding.check.chars().count() <= WORD);
            assert!(finding.found.chars().count() <= TEXT);
            let text = finding.check.clone() + &finding.found;
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
}
