//! Many patients at many gateways of one centre, added as an operator adds them.

use anyhow::Result;
use futures_util::StreamExt as _;
use proto::clock::Clock;
use proto::v1;

use crate::centre::Centre;
use crate::hand::HandGateway;

/// Patients of a gateway at most: as many contexts as the centre lets one open at once, and a few less.
pub const PATIENTS: usize = 250;
/// Gateways that are furnished at the same time.
const AT_ONCE: usize = 8;

/// A gateway and who is there.
#[derive(Debug)]
pub struct Home {
    /// From 0.
    pub number: u64,
    /// Enrolled.
    pub gateway: HandGateway,
    /// Their ids, and their numbers among all patients.
    pub patients: Vec<(String, u64)>,
}

/// The one device of a patient.
#[must_use]
pub fn device(number: u64) -> String {
    let [.., a, b, c] = number.to_be_bytes();
    format!("C0:00:00:{a:02X}:{b:02X}:{c:02X}")
}

/// So many patients, marked as test data, each with a device.
///
/// # Errors
/// When the centre refuses.
pub async fn furnish(centre: &Centre, patients: usize, clock: Clock) -> Result<Vec<Home>> {
    let client = centre.client().await?;
    let numbers: Vec<u64> = (0..u64::try_from(patients)?).collect();
    let mut all = Vec::new();
    for (number, chunk) in (0..).zip(numbers.chunks(PATIENTS)) {
        let (token, id) = centre.token(&format!("home {number}"))?;
        let gateway = HandGateway::enrol(centre.ready()?.grpc, &token, clock).await?;
        all.push((number, gateway, id, chunk));
    }
    let added = all.into_iter().map(|(number, gateway, id, chunk)| {
        let mut operator = client.operator();
        async move {
            let mut patients = Vec::new();
            for of in chunk {
                let patient = v1::AddPatientRequest {
                    display_name: String::new(),
                    test_data: true,
                };
                let patient = operator.add_patient(patient).await?.into_inner().patient;
                let assign = v1::AssignRequest {
                    patient: patient.clone(),
                    gateway: id.clone(),
                    devices: vec![device(*of)],
                };
                operator.assign(assign).await?;
                patients.push((patient, *of));
            }
            Ok(Home {
                number,
                gateway,
                patients,
            })
        }
    });
    futures_util::stream::iter(added)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<Result<Home>>>()
        .await
        .into_iter()
        .collect()
}
