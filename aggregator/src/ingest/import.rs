//! Records that a person carried here, of any gateways: admitted, judged, journaled and receipted as on the line.
//!
//! Invariants: who brings a record proves nothing, its context's signed header does; a record that lies in the journal is
//! receipted again and not journaled again; nothing that a file says ends a connection, spends a gateway's budget or
//! orders a gateway to set anything aside. Must not know: files, who asks.

use std::collections::{BTreeMap, BTreeSet};

use proto::seal::{Stub, parse_header, parse_stub};
use proto::v1::{
    ImportRecordsRequest, ImportRecordsResponse, OpenContext, RefusalReason, centre_to_gateway,
};
use vitals::{ContextId, GatewayId};

use super::{Desk, Ingest, Replies};
use crate::counters::Transport;
use crate::traces::Trace;

impl Ingest {
    /// Takes what holds. Contexts first, then their records.
    pub async fn import(&self, request: ImportRecordsRequest) -> ImportRecordsResponse {
        let mut replies = Replies::default();
        for open in &request.contexts {
            self.import_context(open, &mut replies).await;
        }
        let mut known = 0;
        let mut seen = BTreeSet::new();
        let mut of_gateways: BTreeMap<GatewayId, Vec<Vec<u8>>> = BTreeMap::new();
        for record in request.records {
            let Ok(stub) = parse_stub(&record) else {
                let detail = "a record does not parse";
                self.refuse(&mut replies, None, RefusalReason::Malformed, detail);
                continue;
            };
            // A second one of a number, were it forged, could only make the first one suspicious.
            if !seen.insert((stub.context, stub.number)) {
                continue;
            }
            let Some((gateway, journaled)) = self.place_of(&stub) else {
                let detail = "the file does not hold the record's context, or it was refused";
                let batch = (stub.context, stub.number);
                self.refuse(
                    &mut replies,
                    Some(batch),
                    RefusalReason::UnknownContext,
                    detail,
                );
                continue;
            };
            known += u64::from(journaled);
            of_gateways.entry(gateway).or_default().push(record);
        }
        for (gateway, records) in of_gateways {
            // The gateway itself may be sending the same now: one after the other.
            let desk = self.desk(&gateway);
            let _one = desk.lock().await;
            let session = self.sessions.apart(gateway, Transport::File);
            let (mut anew, trace) = (Desk::default(), Trace::default());
            self.take(&session, &mut anew, records, &mut replies, trace)
                .await;
        }
        told(replies, known)
    }

    async fn import_context(&self, open: &OpenContext, replies: &mut Replies) {
        let refused = |context: Option<ContextId>| context.map(|context| (context, 0));
        let Ok(header) = parse_header(&open.header) else {
            let detail = "the header does not parse";
            return self.refuse(replies, None, RefusalReason::Malformed, detail);
        };
        let gateway = header.gateway;
        let ours = self.parts.books.registry().gateway(&gateway).is_some();
        if !ours {
            let (batch, reason) = (refused(Some(header.context)), RefusalReason::HeaderInvalid);
            return self.refuse(replies, batch, reason, "the gateway is not of this centre");
        }
        let desk = self.desk(&gateway);
        let _one = desk.lock().await;
        self.admit(&gateway, &mut Desk::default(), open, replies)
            .await;
    }

    /// Whose record it is, and whether it lies in the journal.
    fn place_of(&self, stub: &Stub) -> Option<(GatewayId, bool)> {
        let registry = self.parts.books.registry();
        let context = registry.context(stub.context)?;
        Some((
            context.gateway.clone(),
            context.journaled.contains(stub.number),
        ))
    }
}

fn told(replies: Replies, known: u64) -> ImportRecordsResponse {
    let mut told = ImportRecordsResponse::default();
    let mut receipted = 0;
    for message in replies.messages {
        match message.kind {
            Some(centre_to_gateway::Kind::Receipt(receipt)) => {
                let ranges = receipt.ranges.iter();
                receipted += ranges
                    .map(|range| range.last - range.first + 1)
                    .sum::<u64>();
                told.receipts.push(receipt);
            }
            Some(centre_to_gateway::Kind::Refusal(refusal)) => {
                let name = refusal.reason().as_str_name();
                let name = name.strip_prefix("REFUSAL_REASON_").unwrap_or(name);
                *told.refused.entry(name.to_ascii_lowercase()).or_insert(0) += 1;
            }
            Some(
                centre_to_gateway::Kind::Command(_)
                | centre_to_gateway::Kind::ContextAdmitted(_)
                | centre_to_gateway::Kind::PieceTaken(_),
            )
            | None => {}
        }
    }
    told.known = known.min(receipted);
    told.taken = receipted - told.known;
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::rig::{Gateway, Rig, seal};
    use proto::clock::Clock;
    use proto::seal::record::checksum;
    use proto::v1::{GatewayToCentre, gateway_to_centre};

    fn opened(message: GatewayToCentre) -> OpenContext {
        match message.kind {
            Some(gateway_to_centre::Kind::OpenContext(open)) => open,
            Some(
                gateway_to_centre::Kind::Hello(_)
                | gateway_to_centre::Kind::Batches(_)
                | gateway_to_centre::Kind::Piece(_),
            )
            | None => panic!("a context"),
        }
    }

    async fn file(rig: &Rig, gateway: &Gateway) -> ImportRecordsRequest {
        let assigned = rig.assign(gateway).await;
        let (open, mut sealer) = gateway.open(&assigned, None, Clock::system().now());
        ImportRecordsRequest {
            contexts: vec![opened(open)],
            records: (0..5).map(|_| seal(&mut sealer)).collect(),
        }
    }

    #[tokio::test]
    async fn what_was_carried_is_taken_once_and_the_live_connection_stays() {
        let mut rig = Rig::new().await;
        let (one, other) = (rig.gateway().await, rig.gateway().await);
        let mut both = file(&rig, &one).await;
        let more = file(&rig, &other).await;
        both.contexts.extend(more.contexts);
        both.records.extend(more.records);
        let live = rig.session(&one);
        let first = rig.ingest.import(both.clone()).await;
        assert_eq!((first.taken, first.known), (10, 0), "{:?}", first.refused);
        assert_eq!((rig.journaled().len(), first.receipts.len()), (10, 2));
        let again = rig.ingest.import(both).await;
        assert_eq!((again.taken, again.known), (0, 10), "{:?}", again.refused);
        assert_eq!(rig.journaled().len(), 0, "nothing twice");
        assert_eq!(again.receipts.len(), 2, "the receipts may have got lost");
        assert_eq!(rig.ingest.sessions().live(live.gateway()), 1);
    }

    #[tokio::test]
    async fn what_was_tampered_with_is_refused_and_never_set_aside() {
        let mut rig = Rig::new().await;
        let gateway = rig.gateway().await;
        let honest = file(&rig, &gateway).await;
        let mut tampered = honest.clone();
        let record = &mut tampered.records[2];
        let (at, end) = (record.len() - 30, record.len() - 4);
        record[at] ^= 1;
        let sum = checksum(&record[..end]);
        record[end..].copy_from_slice(&sum);
        // Again and again, and several in one: on the line that would be an order to set it aside.
        let bad = tampered.records[2].clone();
        tampered.records.extend([bad.clone(), bad.clone(), bad]);
        for _ in 0..4 {
            let told = rig.ingest.import(tampered.clone()).await;
            assert_eq!(told.refused["forged"], 1, "{told:?}");
            assert_eq!(told.taken + told.known, 4);
        }
        assert_eq!(rig.journaled().len(), 4);
        let (commands, _) = rig.ingest.commands(&gateway.id, 0);
        assert_eq!(commands.len(), 1, "its assignments, and no order");
        // The control: the honest one is still taken.
        let told = rig.ingest.import(honest).await;
        assert_eq!((told.taken, told.known), (1, 4));
    }

    #[tokio::test]
    async fn another_centres_file_is_refused_whole() {
        let (rig, other) = (Rig::new().await, Rig::new().await);
        let gateway = other.gateway().await;
        let theirs = file(&other, &gateway).await;
        let told = rig.ingest.import(theirs.clone()).await;
        assert_eq!((told.taken, told.known, told.receipts.len()), (0, 0, 0));
        assert_eq!(told.refused["header_invalid"], 1);
        assert_eq!(told.refused["unknown_context"], 5);
        let told = other.ingest.import(theirs).await;
        assert_eq!(told.taken, 5, "the control: it is good where it belongs");
    }
}
