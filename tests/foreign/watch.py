"""A telemedicine platform in Python: grpcio with server reflection, no generated code.

Usage: watch.py HOST:PORT IDENTITY_FOLDER SECONDS
Lists the services by reflection, reads twins and alerts as streams, breaks the alert stream off and resumes
it from its cursor. Prints one JSON object: {"services": [...], "twins": n, "alerts": n, "resumed": n,
"twice": n, "ok": true}. `twice` counts events that came both before and after the resume.
"""

import json
import pathlib
import sys
import threading
import time

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase


def main():
    address, folder, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
    credentials = grpc.ssl_channel_credentials(
        root_certificates=(folder / "ca.pem").read_bytes(),
        private_key=(folder / "key.pem").read_bytes(),
        certificate_chain=(folder / "cert.pem").read_bytes(),
    )
    channel = grpc.secure_channel(address, credentials, [("grpc.ssl_target_name_override", "localhost")])
    database = ProtoReflectionDescriptorDatabase(channel)
    services = sorted(database.get_services())
    pool = DescriptorPool(database)
    message = lambda name: GetMessageClass(pool.FindMessageTypeByName(f"vitaltwin.v1.{name}"))

    def read(method, request, answer, deadline):
        call = channel.unary_stream(method, lambda r: r.SerializeToString(), message(answer).FromString)(request)
        timer = threading.Timer(deadline, call.cancel)
        timer.start()
        events = []
        try:
            for event in call:
                events.append(event)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.CANCELLED:
                raise
        timer.cancel()
        return events

    twins = read("/vitaltwin.v1.TwinService/Watch", message("WatchTwinsRequest")(), "TwinEvent", seconds)
    first = read("/vitaltwin.v1.AlertService/Watch", message("WatchAlertsRequest")(), "AlertEvent", seconds)
    cursor = first[-1].cursor if first else b""
    time.sleep(0.2)
    again = read("/vitaltwin.v1.AlertService/Watch", message("WatchAlertsRequest")(cursor=cursor), "AlertEvent", seconds)
    ids = lambda events: {e.event_id for e in events if e.WhichOneof("kind") == "change"}
    snapshots = sum(1 for e in again if e.WhichOneof("kind") == "snapshot")
    patients = {e.snapshot.patient or e.change.patient for e in twins if e.WhichOneof("kind") in ("snapshot", "change")}
    print(json.dumps({
        "services": services,
        "twins": len(patients),
        "alerts": sum(1 for e in first if e.WhichOneof("kind") in ("snapshot", "change")),
        "resumed": len(again),
        "snapshots_after_resume": snapshots,
        "twice": len(ids(first) & ids(again)),
        "ok": bool(patients) and snapshots == 0 and not (ids(first) & ids(again)),
    }))


if __name__ == "__main__":
    main()
