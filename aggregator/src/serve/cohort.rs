//! PURE. Who belongs to a cohort, by what people know about the patient.
//!
//! Must not know: who asks, where facts lie.

use proto::v1::{Fact, FactFilter};
use vitals::Time;

/// Whether each of the filters finds a fact that holds at `now`.
pub(super) fn takes(filters: &[FactFilter], facts: &[Fact], now: Time) -> bool {
    let now = now.as_micros();
    let holds = |fact: &&Fact| fact.from_us <= now && (fact.to_us == 0 || now < fact.to_us);
    filters.iter().all(|filter| {
        let mut facts = facts.iter().filter(holds);
        facts.any(|fact| fact.kind == filter.kind && says(fact, &filter.value))
    })
}

fn says(fact: &Fact, value: &str) -> bool {
    let code = fact.code.rsplit_once('|').map(|(_, code)| code);
    value.is_empty() || value == fact.code || code == Some(value) || value == fact.text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::FactKind;

    #[test]
    fn each_filter_must_find_a_fact_that_holds_now() {
        let fact = |kind: FactKind, code: &str, (from_us, to_us)| Fact {
            kind: kind.into(),
            code: code.into(),
            from_us,
            to_us,
            ..Default::default()
        };
        let icd = "http://hl7.org/fhir/sid/icd-10|I48.0";
        let facts = [
            fact(FactKind::Condition, icd, (10, 0)),
            fact(FactKind::Medication, "x|B01AF02", (10, 20)),
        ];
        let filter = |kind: FactKind, value: &str| FactFilter {
            kind: kind.into(),
            value: value.into(),
        };
        let taken = |filters: &[FactFilter], now| takes(filters, &facts, Time::from_micros(now));
        assert!(taken(&[], 0), "control");
        for value in ["", icd, "I48.0"] {
            assert!(taken(&[filter(FactKind::Condition, value)], 15), "{value}");
        }
        for value in ["I48", "icd-10", "I48.1"] {
            assert!(!taken(&[filter(FactKind::Condition, value)], 15), "{value}");
        }
        assert!(
            !taken(&[filter(FactKind::Condition, "I48.0")], 9),
            "not yet"
        );
        let both = [
            filter(FactKind::Condition, ""),
            filter(FactKind::Medication, "B01AF02"),
        ];
        assert!(taken(&both, 19) && !taken(&both, 20), "it is over");
    }
}
