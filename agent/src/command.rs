//! PURE. Orders of the centre: obeyed only if signed by the pinned key, for this gateway, and newer.
//!
//! Invariant: what was not obeyed changes nothing but a counter; numbers only go up.
//! Must not know: transports, files.

use proto::seal::command::{self, CommandError};
use proto::v1::{self, SignedCommand};
use twin::rules::Rules;
use vitals::{ContextId, GatewayId};

use crate::decode::Counts;
use crate::identity::Obeyed;
use crate::outbox::assignment::{Duty, parse_assignments};
use crate::survival::rules;

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// This list replaces the former one.
    Assign(Duty),
    /// Set these records aside and declare a gap.
    SetAside {
        /// Their context.
        context: ContextId,
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// These settings replace the former ones from afar.
    Configure {
        /// The command's number.
        number: u64,
        /// TOML.
        settings: String,
    },
    /// Go by these rules while the centre is silent; what it sent does not hold: by those that are built in.
    Watch(Box<Rules>),
    /// A newer centre orders something that this agent does not know. Its number counts as obeyed, or the
    /// centre would send it for ever.
    Unknown,
}

/// Who judges commands.
#[derive(Debug)]
pub struct Commander {
    command_key: [u8; 65],
    gateway: GatewayId,
    obeyed: Obeyed,
    refused: Counts,
}

impl Commander {
    /// With what was obeyed before.
    #[must_use]
    pub fn new(command_key: [u8; 65], gateway: GatewayId, obeyed: Obeyed) -> Self {
        Self {
            command_key,
            gateway,
            obeyed,
            refused: Counts::default(),
        }
    }

    /// The assignments in force, from a signed command that is verified anew.
    #[must_use]
    pub fn in_force(&mut self) -> Duty {
        let Some(signed) = self.obeyed.assignments.clone() else {
            return Duty::default();
        };
        let verified = command::verify(&self.command_key, &self.gateway, 0, &signed);
        match verified.map(|command| command.kind) {
            Ok(Some(v1::command::Kind::Assignments(list))) => {
                if let Ok(duty) = parse_assignments(&list) {
                    return duty;
                }
                self.refused.add("malformed", 1);
            }
            Ok(
                Some(
                    v1::command::Kind::SetAside(_)
                    | v1::command::Kind::Configuration(_)
                    | v1::command::Kind::Rules(_),
                )
                | None,
            ) => self.refused.add("malformed", 1),
            Err(error) => self.refused.add(reason(error), 1),
        }
        // Whatever lies there is not the centre's word: ask for everything again.
        self.obeyed = Obeyed::default();
        Duty::default()
    }

    /// The rules in force, from a signed command that is verified anew; those built in where there is none that holds.
    #[must_use]
    pub fn rules(&mut self) -> Rules {
        let Some(signed) = &self.obeyed.rules else {
            return Rules::BUILT_IN;
        };
        let verified = command::verify(&self.command_key, &self.gateway, 0, signed);
        match verified.map(|command| command.kind) {
            Ok(Some(v1::command::Kind::Rules(sent))) => self.holding(&sent),
            Ok(_) => {
                self.refused.add("malformed", 1);
                Rules::BUILT_IN
            }
            Err(error) => {
                self.refused.add(reason(error), 1);
                Rules::BUILT_IN
            }
        }
    }

    fn holding(&mut self, sent: &v1::WatchRules) -> Rules {
        rules::parse(sent).unwrap_or_else(|| {
            self.refused.add("rules", 1);
            Rules::BUILT_IN
        })
    }

    /// Judges a command.
    ///
    /// # Errors
    /// Why it is not obeyed; counted.
    pub fn take(&mut self, signed: &SignedCommand) -> Result<Order, CommandError> {
        let judged = self.judge(signed);
        if let Err(error) = judged {
            self.refused.add(reason(error), 1);
        }
        judged
    }

    fn judge(&mut self, signed: &SignedCommand) -> Result<Order, CommandError> {
        let last = self.obeyed.number;
        let command = command::verify(&self.command_key, &self.gateway, last, signed)?;
        let order = match command.kind {
            Some(v1::command::Kind::Assignments(list)) => {
                let duty = parse_assignments(&list).map_err(|_| CommandError::Malformed)?;
                self.obeyed.assignments = Some(signed.clone());
                Order::Assign(duty)
            }
            Some(v1::command::Kind::SetAside(aside)) => Order::SetAside {
                context: ContextId::from_slice(&aside.context).ok_or(CommandError::Malformed)?,
                numbers: aside.numbers,
            },
            Some(v1::command::Kind::Configuration(configuration)) => Order::Configure {
                number: command.number,
                settings: configuration.settings,
            },
            Some(v1::command::Kind::Rules(sent)) => {
                self.obeyed.rules = Some(signed.clone());
                Order::Watch(Box::new(self.holding(&sent)))
            }
            None => Order::Unknown,
        };
        self.obeyed.number = command.number;
        Ok(order)
    }

    /// What was obeyed so far, to be made durable after each order.
    #[must_use]
    pub const fn obeyed(&self) -> &Obeyed {
        &self.obeyed
    }

    /// Commands not obeyed, by reason.
    #[must_use]
    pub const fn refused(&self) -> &Counts {
        &self.refused
    }
}

const fn reason(error: CommandError) -> &'static str {
    match error {
        CommandError::Forged => "forged",
        CommandError::Malformed => "malformed",
        CommandError::OtherGateway => "other_gateway",
        CommandError::Stale { .. } => "stale",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::seal::{PatientSecret, SigningKey};

    struct Bench {
        key: SigningKey,
        commander: Commander,
    }

    fn gateway() -> GatewayId {
        GatewayId::parse("g-1").expect("a gateway id")
    }

    fn bench() -> Bench {
        let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("a key");
        let commander = Commander::new(key.public_point(), gateway(), Obeyed::default());
        Bench { key, commander }
    }

    fn list() -> v1::AssignmentList {
        v1::AssignmentList {
            assignments: vec![v1::Assignment {
                stream: vec![1; 16],
                key_id: vec![2; 8],
                public_key: PatientSecret::generate().public().0.to_vec(),
                devices: vec!["AA:BB:CC:DD:EE:FF".into()],
                effective_from_us: 5,
            }],
            withheld: Vec::new(),
        }
    }

    fn command(number: u64) -> v1::Command {
        v1::Command {
            gateway: "g-1".into(),
            number,
            kind: Some(v1::command::Kind::Assignments(list())),
        }
    }

    #[test]
    fn rules_are_gone_by_after_a_restart_and_those_without_the_floor_are_not() {
        let mut of = bench();
        let rules = |cut: f64| {
            let level = |cut, priority: v1::Priority| v1::WatchLevel {
                cut,
                hold_s: 30,
                priority: priority.into(),
            };
            v1::command::Kind::Rules(v1::WatchRules {
                rules: vec![v1::WatchRule {
                    condition: "oxygen_saturation_low".into(),
                    levels: vec![
                        level(94.0, v1::Priority::Medium),
                        level(cut, v1::Priority::High),
                    ],
                    clear_by: 1.0,
                    clear_hold_s: 60,
                }],
            })
        };
        let send = |bench: &mut Bench, number, kind| {
            let command = v1::Command {
                gateway: "g-1".into(),
                number,
                kind: Some(kind),
            };
            let signed = command::sign(&bench.key, &command);
            bench.commander.take(&signed).expect("obeyed")
        };
        assert_eq!(of.commander.rules(), Rules::BUILT_IN);
        let Order::Watch(strict) = send(&mut of, 3, rules(90.0)) else {
            panic!("rules");
        };
        assert_eq!(strict.oxygen_low.levels[1].cut, 90.0);
        let obeyed = of.commander.obeyed().clone();
        let point = of.key.public_point();
        let mut restarted = Commander::new(point, gateway(), obeyed);
        assert_eq!(restarted.rules(), *strict);
        // 86 % is below the floor: those built in are gone by, and it is counted.
        let Order::Watch(weak) = send(&mut of, 4, rules(86.0)) else {
            panic!("rules");
        };
        assert_eq!(*weak, Rules::BUILT_IN);
        assert_eq!(of.commander.rules(), Rules::BUILT_IN);
        // What lies on the disk and is not the centre's word is not gone by.
        let mut forged = of.commander.obeyed().clone();
        if let Some(rules) = &mut forged.rules {
            rules.signature[9] ^= 1;
        }
        let mut restarted = Commander::new(point, gateway(), forged);
        assert_eq!(restarted.rules(), Rules::BUILT_IN);
        assert_eq!(restarted.in_force(), Duty::default());
    }

    #[test]
    fn obeys_what_is_signed_newer_and_ours() {
        let Bench { key, mut commander } = bench();
        let signed = command::sign(&key, &command(3));
        assert!(
            matches!(commander.take(&signed), Ok(Order::Assign(duty)) if duty.assignments.len() == 1)
        );
        assert_eq!(commander.obeyed().number, 3);
        assert_eq!(commander.in_force().assignments.len(), 1);
        assert!(commander.refused().by_reason().is_empty());
    }

    #[test]
    fn refuses_and_counts_everything_else() {
        let Bench { key, mut commander } = bench();
        let good = command::sign(&key, &command(3));
        commander.take(&good).expect("obeyed");
        let stranger = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8()).expect("a key");
        let forged = command::sign(&stranger, &command(9));
        // A swapped patient key under the true signature.
        let mut swapped = command::sign(&key, &command(9));
        let at = swapped
            .command
            .windows(8)
            .position(|w| w == [2; 8])
            .expect("in there");
        swapped.command[at + 12] ^= 1;
        let other = v1::Command {
            gateway: "g-2".into(),
            ..command(9)
        };
        let other = command::sign(&key, &other);
        let mut cut = list();
        cut.assignments[0].public_key.pop();
        let malformed = v1::Command {
            kind: Some(v1::command::Kind::Assignments(cut)),
            ..command(9)
        };
        let malformed = command::sign(&key, &malformed);
        for bad in [&forged, &swapped, &other, &malformed, &good] {
            assert!(commander.take(bad).is_err());
        }
        assert_eq!(commander.obeyed().number, 3, "none of them moved anything");
        let counts = commander.refused().by_reason();
        let counts: Vec<(&str, u64)> = counts.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        assert_eq!(
            counts,
            [
                ("forged", 2),
                ("malformed", 1),
                ("other_gateway", 1),
                ("stale", 1)
            ]
        );
    }

    #[test]
    fn an_unknown_order_counts_as_obeyed() {
        let Bench { key, mut commander } = bench();
        let unknown = v1::Command {
            kind: None,
            ..command(8)
        };
        let signed = command::sign(&key, &unknown);
        assert_eq!(commander.take(&signed), Ok(Order::Unknown));
        assert_eq!(commander.obeyed().number, 8);
    }

    #[test]
    fn a_list_changed_on_disk_is_forgotten_whole() {
        let Bench { key, mut commander } = bench();
        commander
            .take(&command::sign(&key, &command(3)))
            .expect("obeyed");
        let mut obeyed = commander.obeyed().clone();
        if let Some(signed) = &mut obeyed.assignments {
            signed.command[5] ^= 1;
        }
        let mut restarted = Commander::new(key.public_point(), gateway(), obeyed);
        assert_eq!(restarted.in_force(), Duty::default());
        assert_eq!(
            restarted.obeyed().number,
            0,
            "the centre is asked for everything again"
        );
        assert_eq!(restarted.refused().by_reason().len(), 1);
    }
}
