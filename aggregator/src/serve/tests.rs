//! The port from outside.

use prost::Message as _;
use proto::v1;

/// "/package.Service/Method" of every method of the contract, from its descriptors.
pub(crate) fn contract_methods() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(v1::DESCRIPTORS).expect("our own descriptors");
    let mut methods = Vec::new();
    for file in set
        .file
        .iter()
        .filter(|file| file.package() == "vitaltwin.v1")
    {
        for service in &file.service {
            for method in &service.method {
                methods.push(format!(
                    "/vitaltwin.v1.{}/{}",
                    service.name(),
                    method.name()
                ));
            }
        }
    }
    methods
}
