//! Certificates for the tests of this crate: a CA and leaves that it issues.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// A CA of its own.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A leaf with its key.
pub struct Leaf {
    /// DER.
    pub der: Vec<u8>,
    /// PKCS#8 DER.
    pub key: Vec<u8>,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let mut params = params(name, "centre", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages.clear();
        let key = KeyPair::generate().expect("randomness");
        Self(CertifiedIssuer::self_signed(params, key).expect("fine parameters"))
    }

    pub fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }

    /// Valid from 2025 to 2030.
    pub fn issue(&self, name: &str, role: &str, hosts: &[&str]) -> Leaf {
        let key = KeyPair::generate().expect("randomness");
        let cert = params(name, role, hosts)
            .signed_by(&key, &self.0)
            .expect("fine parameters");
        Leaf {
            der: cert.der().to_vec(),
            key: key.serialize_der(),
        }
    }
}

fn params(name: &str, role: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("fine host names");
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, role);
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}
