//! Counters of the running centre, for `status`. What the log itself holds is counted by the registry.
//!
//! Invariants: every refusal and every drop is counted under a reason from a closed list; no counter names a
//! patient. Must not know: who shows them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

/// How a gateway is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// The MQTT endpoint.
    Mqtt,
    /// The gRPC stream.
    Grpc,
    /// A file that a person carried here.
    File,
}

impl Transport {
    /// All.
    pub const ALL: [Self; 3] = [Self::Mqtt, Self::Grpc, Self::File];

    /// As `status` shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Grpc => "grpc",
            Self::File => "file",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why something from outside was not taken (or was taken with a flag).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Refused {
            $($(#[$doc])* $name,)*
        }

        impl Refused {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As `status` shows it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// A message or record does not parse.
    Malformed = "malformed",
    /// A record's checksum does not hold.
    Damaged = "damaged",
    /// A message or record is longer than the contract allows.
    TooLarge = "too_large",
    /// A batch of a context that was never admitted.
    UnknownContext = "unknown_context",
    /// A header whose signature, gateway, key or certificate does not hold.
    HeaderInvalid = "header_invalid",
    /// A stream that is not assigned to this gateway.
    NotAssigned = "not_assigned",
    /// A tag that does not verify.
    Forged = "forged",
    /// The gateway was revoked.
    Revoked = "revoked",
    /// The store stopped.
    StoreStopped = "store_stopped",
    /// The stream is frozen.
    Frozen = "frozen",
    /// Who would have looked at a patient could not be written down, so nothing was shown.
    Unnoted = "look_not_noted",
    /// Over the gateway's budget; it comes again later.
    Busy = "busy",
    /// More than can be taken now; it comes again later. What it was is counted below.
    Overloaded = "overloaded",
    /// Waveforms of it.
    ShedWaveforms = "shed_waveforms",
    /// Vitals of it.
    ShedVitals = "shed_vitals",
    /// A gateway over its flow: its receipts were delayed.
    Delayed = "receipts_delayed",
    /// The journal's disk is nearly full.
    DiskLow = "disk_low",
    /// The centre has been bringing its twins up to date for too long.
    NotCurrent = "twins_not_current",
    /// A second successor of one context was admitted and flagged: rollback, clone or lost state.
    Forked = "forked_context",
    /// An enrolment token that does not hold.
    Token = "enrolment_token",
    /// A certificate request that does not hold.
    Request = "certificate_request",
    /// A renewal whose request is not signed by an enrolled key.
    Holder = "renewal_without_key",
    /// A renewal of a certificate that ended too long ago.
    TooOld = "certificate_too_old",
    /// A TLS handshake that failed or took too long.
    Handshake = "tls_handshake",
    /// A connection beyond the configured number.
    Connections = "too_many_connections",
    /// A peer without a certificate of a gateway.
    Identity = "no_gateway_certificate",
    /// MQTT that breaks the protocol or asks for what this endpoint does not do.
    MqttProtocol = "mqtt_protocol",
    /// MQTT on a topic that is not the gateway's own.
    MqttTopic = "mqtt_topic",
    /// A peer that was silent, or did not read, for too long.
    Timeout = "timeout",
    /// A call or an open stream that the gate does not allow.
    Gate = "gate",
    /// A gRPC-web call from another site's page.
    Origin = "foreign_origin",
    /// Who signed in with what does not hold, or tried too often.
    SignIn = "sign_in",
    /// A reader too slow for alert changes.
    SlowReader = "slow_reader",
}

/// All counters; shared by reference.
#[derive(Debug)]
pub struct Counters {
    refused: HashMap<Refused, AtomicU64>,
    receipted: [AtomicU64; 3],
}

impl Default for Counters {
    fn default() -> Self {
        let refused = Refused::ALL
            .iter()
            .map(|reason| (*reason, AtomicU64::new(0)))
            .collect();
        Self {
            refused,
            receipted: Default::default(),
        }
    }
}

impl Counters {
    /// One more refusal.
    pub fn refuse(&self, reason: Refused) {
        if let Some(count) = self.refused.get(&reason) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Readings of batches that were journaled and receipted for the first time.
    pub fn receipted(&self, transport: Transport, readings: u64) {
        self.receipted[transport as usize].fetch_add(readings, Ordering::Relaxed);
    }

    /// How often one reason occurred.
    #[must_use]
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused
            .get(&reason)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Reasons that occurred, for `status`.
    #[must_use]
    pub fn all_refused(&self) -> BTreeMap<String, u64> {
        let counted = Refused::ALL
            .iter()
            .map(|reason| (reason.as_str().to_owned(), self.refused(*reason)));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// Readings receipted by transport, for `status`.
    #[must_use]
    pub fn all_receipted(&self) -> BTreeMap<String, u64> {
        Transport::ALL
            .iter()
            .map(|transport| {
                let count = self.receipted[*transport as usize].load(Ordering::Relaxed);
                (transport.as_str().to_owned(), count)
            })
            .collect()
    }
}
