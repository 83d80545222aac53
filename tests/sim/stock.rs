//! Keys and certificates that all schedules share: making them costs more than a schedule, and no behaviour rests on
//! their bits.

use std::sync::{Arc, OnceLock};

use proto::clock::{Clock, Hands};
use proto::seal::{KeyId, PatientPublic, SigningKey};
use vitals::{GatewayId, PatientId};
use vitaltwin_agent::identity::{Identity, Request};
use vitaltwin_aggregator::ca::{self, Authority};
use vitaltwin_aggregator::dir::CentreDir;
use vitaltwin_aggregator::vault::Vault;

use crate::plan::{MOST_HOUSES, MOST_PATIENTS, START};

pub(crate) struct Stock {
    pub(crate) vault: Arc<Vault>,
    pub(crate) ca: Vec<u8>,
    command_key: zeroize::Zeroizing<Vec<u8>>,
    pub(crate) patients: Vec<(PatientId, KeyId, PatientPublic)>,
    gateways: Vec<Gateway>,
}

struct Gateway {
    id: GatewayId,
    key: Arc<SigningKey>,
    chain: Vec<Vec<u8>>,
}

impl Stock {
    pub(crate) fn get() -> &'static Self {
        static STOCK: OnceLock<Stock> = OnceLock::new();
        STOCK.get_or_init(Self::make)
    }

    fn make() -> Self {
        // Read once: the folder may go when they are in memory.
        let folder = tempfile::tempdir().expect("a folder");
        let dir = CentreDir::new(folder.path());
        let clock = Clock::by_hand(Hands::at(START));
        dir.create().expect("folders");
        Vault::create(&dir.vault()).expect("a vault");
        Authority::create(&dir, clock).expect("a CA");
        let vault = Vault::open(&dir.vault()).expect("a vault");
        let authority = Authority::open(&dir, clock).expect("a CA");
        let patients = (0..MOST_PATIENTS).map(|number| {
            let id = PatientId::parse(&format!("p-{number}")).expect("a fine id");
            let (key_id, public) = vault.generate(&id).expect("a key");
            (id, key_id, public)
        });
        let patients = patients.collect();
        let gateways = (0..MOST_HOUSES).map(|number| gateway(number, &authority));
        Self {
            patients,
            gateways: gateways.collect(),
            ca: authority.ca().to_vec(),
            command_key: command_key_der(&dir),
            vault: Arc::new(vault),
        }
    }

    pub(crate) fn command_key(&self) -> SigningKey {
        SigningKey::from_pkcs8(&self.command_key).expect("a key")
    }

    pub(crate) fn gateway(&self, house: usize) -> &GatewayId {
        &self.gateways[house].id
    }

    pub(crate) fn identity(&self, house: usize) -> Identity {
        let gateway = &self.gateways[house];
        Identity {
            gateway: gateway.id.clone(),
            key: Arc::clone(&gateway.key),
            key_pkcs8: zeroize::Zeroizing::default(),
            chain: gateway.chain.clone(),
            ca: self.ca.clone(),
            command_key: self.command_key().public_point(),
            grpc_address: String::new(),
            mqtt_address: String::new(),
        }
    }
}

fn command_key_der(dir: &CentreDir) -> zeroize::Zeroizing<Vec<u8>> {
    ca::command_key(dir).expect("a key");
    let der = std::fs::read(dir.command_key()).expect("a key");
    zeroize::Zeroizing::new(der)
}

fn gateway(number: usize, authority: &Authority) -> Gateway {
    let id = GatewayId::parse(&format!("g-{number}")).expect("a fine id");
    let pkcs8 = SigningKey::generate_pkcs8();
    let key = SigningKey::from_pkcs8(&pkcs8).expect("just generated");
    let identity = Identity {
        gateway: id.clone(),
        key: Arc::new(SigningKey::from_pkcs8(&pkcs8).expect("just generated")),
        key_pkcs8: pkcs8,
        chain: Vec::new(),
        ca: Vec::new(),
        command_key: key.public_point(),
        grpc_address: String::new(),
        mqtt_address: String::new(),
    };
    let request = Request::renewal(&identity).expect("a request");
    let issued = authority.gateway(&id, &request.csr).expect("a certificate");
    Gateway {
        id,
        key: identity.key,
        chain: issued.chain,
    }
}
