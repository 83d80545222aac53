"""Where calls arrive: an HTTPS server for webhooks and as a push service, and an SMTP server, all of other makers' libraries.

Usage: receiver.py FOLDER   (cert.pem, key.pem and secret lie there)
Writes ports.json once it listens, and each message that it took as a line of messages.jsonl: for a webhook its headers, body, and
whether the signature is what the Standard Webhooks library makes of it; for a mail who it is from and for, and its text.
While a file `refuse` lies there, mail is refused.
A push message is opened as the browser would whose keys are in ports.json; who sent it is proved by its JWT. While a file `gone`
lies there, that browser is gone; where the centre's address lies in `confirm`, the browser says that it showed the message.
"""

import base64
import datetime
import email
import email.policy
import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import sys
import threading
import time
import urllib.request

import http_ece
import jwt
from aiosmtpd.controller import Controller
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from standardwebhooks.webhooks import Webhook

folder = pathlib.Path(sys.argv[1])
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
signer = Webhook((folder / "secret").read_text().strip())
lock = threading.Lock()
browser, secret = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)


def text64(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def took(message):
    with lock, open(folder / "messages.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(message) + "\n")


def confirm(word):
    """As the browser's worker does once it has shown the message."""
    page = (folder / "confirm").read_text().strip()
    headers = {"content-type": "application/json", "sec-fetch-site": "same-origin"}
    request = urllib.request.Request(f"{page}push/shown", json.dumps({"word": word}).encode(), headers)
    trusting = ssl._create_unverified_context()
    urllib.request.urlopen(request, context=trusting, timeout=10).close()


class Hook(http.server.BaseHTTPRequestHandler):
    def push(self, body):
        token, key = re.fullmatch(r"vapid t=([^,]+), k=(\S+)", self.headers["authorization"]).groups()
        key = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
        sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        origin = f"https://localhost:{hooks.server_address[1]}"
        claims = jwt.decode(token, sender, algorithms=["ES256"], audience=origin)
        text = http_ece.decrypt(body, private_key=browser, auth_secret=secret, version="aes128gcm")
        message = json.loads(text)
        gone = (folder / "gone").exists()
        took({"way": "push", "path": self.path, "headers": dict(self.headers), "length": len(body), "key": text64(key), "claims": claims, "message": message, "gone": gone})
        self.send_response(410 if gone else 201)
        self.send_header("content-length", "0")
        self.end_headers()
        if not gone and (folder / "confirm").exists():
            threading.Timer(0.5, confirm, [message["word"]]).start()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path.startswith("/push/"):
            self.push(body)
            return
        body = body.decode()
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
point = browser.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
ports = {"webhook": hooks.server_address[1], "mail": port, "p256dh": text64(point), "auth": text64(secret)}
(folder / "ports.new").write_text(json.dumps(ports))
(folder / "ports.new").rename(folder / "ports.json")
while True:
    time.sleep(3600)
