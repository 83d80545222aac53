"""Where calls arrive: an HTTPS server for webhooks and an SMTP server, both of other makers' libraries.

Usage: receiver.py FOLDER   (cert.pem, key.pem and secret lie there)
Writes ports.json once it listens, and each message that it took as a line of messages.jsonl: for a webhook its headers, body, and
whether the signature is what the Standard Webhooks library makes of it; for a mail who it is from and for, and its text.
While a file `refuse` lies there, mail is refused.
"""

import datetime
import email
import email.policy
import http.server
import json
import pathlib
import socket
import ssl
import sys
import threading
import time

from aiosmtpd.controller import Controller
from standardwebhooks.webhooks import Webhook

folder = pathlib.Path(sys.argv[1])
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
signer = Webhook((folder / "secret").read_text().strip())
lock = threading.Lock()


def took(message):
    with lock, open(folder / "messages.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(message) + "\n")


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        stamp = datetime.datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), datetime.timezone.utc)
        signature = signer.sign(self.headers["webhook-id"], stamp, body)
        took({
            "way": "webhook",
            "path": self.path,
            "headers": dict(self.headers),
            "event": json.loads(body),
            "signed": signature == self.headers["webhook-signature"],
        })
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        if (folder / "refuse").exists():
            return "451 4.3.0 the mailbox is on holiday"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        took({
            "way": "mail",
            "tls": session.ssl is not None,
            "for": envelope.rcpt_tos,
            "subject": message["subject"],
            "id": message["message-id"],
            "text": message.get_content(),
        })
        return "250 2.0.0 taken"


hooks = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
hooks.socket = context.wrap_socket(hooks.socket, server_side=True)
threading.Thread(target=hooks.serve_forever, daemon=True).start()
# It knocks at its own door to see that it is open, so it must know which.
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
mail = Controller(Mailbox(), hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True)
mail.start()
ports = {"webhook": hooks.server_address[1], "mail": port}
(folder / "ports.new").write_text(json.dumps(ports))
(folder / "ports.new").rename(folder / "ports.json")
while True:
    time.sleep(3600)
