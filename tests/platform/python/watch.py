"""A telemedicine platform in Python: hears every alert of its patients, each once, across restarts of either side.

    pip install -r requirements.txt
    python watch.py HOST:PORT FOLDER CURSOR_FILE [SECONDS]

FOLDER holds cert.pem, key.pem and ca.pem as `vitaltwin-aggregator platform add` made them. What was heard is printed as one
line of JSON; the cursor is written to CURSOR_FILE only after it, so a line may come twice after a crash, and never not at
all: tell them apart by `event`. Ends by itself after SECONDS, if given.
"""

import json
import os
import pathlib
import random
import sys
import threading
import time

import grpc

# The contract is compiled when the program starts: nothing generated lies beside it.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "proto"))
contract, services = grpc.protos_and_services("v1/alert.proto")

# The centre says something each 15 s. Who hears nothing for so long has no line, whatever the connection says.
SILENCE_S = 60
# Said only after what was told is dealt with. Who has begun to confirm is missed by the centre after two minutes without.
CONFIRM_S = 30
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30


class Platform:
    def __init__(self, address, folder, cursor_file, seconds):
        pem = lambda name: (folder / name).read_bytes()
        credentials = grpc.ssl_channel_credentials(pem("ca.pem"), pem("key.pem"), pem("cert.pem"))
        self.alerts = services.AlertServiceStub(grpc.secure_channel(address, credentials))
        self.cursor_file = cursor_file
        self.end = time.monotonic() + seconds

    def remember(self, cursor):
        """Whole or not at all: a torn cursor would be refused, and all alerts told again."""
        new = self.cursor_file.with_suffix(".new")
        new.write_bytes(cursor)
        os.replace(new, self.cursor_file)

    def remembered(self):
        return self.cursor_file.read_bytes() if self.cursor_file.exists() else b""

    def left(self):
        return self.end - time.monotonic()

    def listen(self):
        """One stream, until it ends. True if anything was heard on it."""
        heard, confirmed = False, 0.0
        stream = self.alerts.Watch(contract.WatchAlertsRequest(cursor=self.remembered()))
        silence = None

        def expect():
            nonlocal silence
            if silence:
                silence.cancel()
            silence = threading.Timer(max(0, min(SILENCE_S, self.left())), stream.cancel)
            silence.daemon = True
            silence.start()

        try:
            expect()
            for event in stream:
                heard = True
                expect()
                kind = event.WhichOneof("kind")
                if kind in ("snapshot", "change"):
                    tell(event.event_id, getattr(event, kind), kind == "snapshot")
                if event.cursor:
                    self.remember(event.cursor)
                if time.monotonic() - confirmed >= CONFIRM_S:
                    confirmed = time.monotonic()
                    self.alerts.Confirm(contract.ConfirmRequest(), timeout=10)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                sys.exit(f"the centre does not let this platform in: {error.details()}\nask its operator (`platform add`, `platform scope`)")
            if self.left() > 0:
                silent = error.code() == grpc.StatusCode.CANCELLED
                print("nothing was heard for a minute" if silent else f"the stream ended: {error.details()}", file=sys.stderr)
        finally:
            silence.cancel()
        return heard

    def run(self):
        pause = FIRST_PAUSE_S
        while self.left() > 0:
            pause = FIRST_PAUSE_S if self.listen() else min(2 * pause, LONGEST_PAUSE_S)
            # Not all platforms at once when a centre comes back.
            time.sleep(max(0, min(pause * random.uniform(0.5, 1), self.left())))


def tell(event, alert, whole):
    line = {
        "event": event,
        "snapshot": whole,
        "alert": alert.id,
        "patient": alert.patient,
        "condition": alert.condition,
        "priority": contract.Priority.Name(alert.priority),
        "state": contract.AlertState.Name(alert.state),
        "summary": alert.summary,
        "testData": alert.test_data,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: watch.py HOST:PORT FOLDER CURSOR_FILE [SECONDS]")
    seconds = float(sys.argv[4]) if len(sys.argv) == 5 else float("inf")
    Platform(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), seconds).run()
