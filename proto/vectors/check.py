#!/usr/bin/env python3
"""A second implementation of the seal (proto/SEAL.md), from primitives of the package `cryptography` only.

    check.py open FILE          opens every vector of FILE, rejects what must be rejected
    check.py make PUBLIC_HEX    makes fresh vectors sealed to that X25519 key, as JSON on standard output

HPKE (RFC 9180, base mode, export only) is written out here, so that a mistake in the Rust crate and a
mistake here would have to be the same mistake.
"""

import datetime
import hashlib
import hmac
import json
import os
import struct
import sys
import zlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.x509.oid import NameOID

CONTEXT, RECEIPT, COMMAND = b"vitaltwin context v1\0", b"vitaltwin receipt v1\0", b"vitaltwin command v1\0"
MAX_INFLATED = 16384
PADDED = [64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4000]
SUITES = {1: AESGCM, 2: ChaCha20Poly1305}
RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class Refused(Exception):
    """Why bytes were refused: malformed, version, suite, checksum, forged, gateway or body."""


# CRC-32C (Castagnoli), reflected.
TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return struct.pack(">I", crc ^ 0xFFFFFFFF)


# --- HPKE: DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, export-only 0xFFFF, base mode ---

KEM_ID = b"KEM" + struct.pack(">H", 0x0020)
HPKE_ID = b"HPKE" + struct.pack(">HHH", 0x0020, 0x0001, 0xFFFF)


def labeled_extract(suite, salt, label, ikm):
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, hashlib.sha256).digest()


def labeled_expand(suite, key, label, info, length):
    info = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    return HKDFExpand(hashes.SHA256(), length, info).derive(key)


def exported(shared_point, encapsulated, public, info):
    """(batch key, receipt key) of the context."""
    eae = labeled_extract(KEM_ID, b"", b"eae_prk", shared_point)
    shared = labeled_expand(KEM_ID, eae, b"shared_secret", encapsulated + public, 32)
    mode = b"\0"
    context = mode + labeled_extract(HPKE_ID, b"", b"psk_id_hash", b"") + labeled_extract(
        HPKE_ID, b"", b"info_hash", info
    )
    secret = labeled_extract(HPKE_ID, shared, b"secret", b"")
    exporter = labeled_expand(HPKE_ID, secret, b"exp", context, 32)
    export = lambda label: labeled_expand(HPKE_ID, exporter, b"sec", label, 32)
    return export(b"vitaltwin batch key"), export(b"vitaltwin receipt key")


def decapsulate(private, encapsulated, info):
    private = X25519PrivateKey.from_private_bytes(private)
    point = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    return exported(point, encapsulated, private.public_key().public_bytes(*RAW), info)


def encapsulate(public, info):
    ephemeral = X25519PrivateKey.generate()
    encapsulated = ephemeral.public_key().public_bytes(*RAW)
    point = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    return encapsulated, exported(point, encapsulated, public, info)


# --- The context header ---

HEADER = struct.Struct(">4sBB8s16s16s16sQqQQqB")
HEADER_FIELDS = (
    "key_id stream context predecessor predecessor_durable predecessor_durable_at_us "
    "predecessor_receipted predecessor_receipt_epoch opened_at_us"
).split()


def header_info(prefix):
    return CONTEXT + hashlib.sha256(prefix).digest()


def parse_header(data):
    """(fields, prefix for the info, signed part, signature)."""
    if len(data) < HEADER.size or data[:4] != b"VTH1":
        raise Refused("malformed")
    _, version, suite, *values, length = HEADER.unpack_from(data)
    if version != 1:
        raise Refused("version")
    if suite not in SUITES:
        raise Refused("suite")
    end = HEADER.size + length
    gateway, encapsulated, rest = data[HEADER.size : end], data[end : end + 32], data[end + 32 :]
    allowed = set(b"abcdefghijklmnopqrstuvwxyz0123456789-")
    if not 1 <= length <= 40 or len(rest) < 2 or not set(gateway) <= allowed:
        raise Refused("malformed")
    (size,) = struct.unpack(">H", rest[:2])
    if not 1 <= size <= 80 or size != len(rest) - 2:
        raise Refused("malformed")
    fields = {k: v.hex() if isinstance(v, bytes) else v for k, v in zip(HEADER_FIELDS, values)}
    before = [fields[name] for name in HEADER_FIELDS if name.startswith("predecessor")]
    if before[0] == "00" * 16 and any(before[1:]):
        raise Refused("malformed")
    fields |= {"suite": suite, "gateway": gateway.decode(), "encapsulated": encapsulated.hex()}
    return fields, data[:end], data[: end + 32], rest[2:]


def verify_header(data, certificate):
    fields, prefix, signed, signature = parse_header(data)
    certificate = x509.load_der_x509_certificate(certificate)
    name = lambda oid: [value.value for value in certificate.subject.get_attributes_for_oid(oid)]
    if name(NameOID.COMMON_NAME) != [fields["gateway"]] or name(NameOID.ORGANIZATION_NAME) != ["gateway"]:
        raise Refused("gateway")
    verify(certificate.public_key(), signature, CONTEXT + signed)
    return fields, prefix


def verify(key, signature, message):
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Refused("forged") from None


# --- Records ---

STUB = struct.Struct(">4s16s16sQBHHIHH")
STUB_FIELDS = "stream context number lane source count oldest_minute span_minutes padded".split()


def nonce(number):
    return bytes(4) + struct.pack(">Q", number)


def parse_stub(record):
    if len(record) < STUB.size or record[:4] not in (b"VTB1", b"VTB2"):
        raise Refused("malformed")
    fields = dict(zip(STUB_FIELDS, STUB.unpack_from(record)[1:]))
    if len(record) != STUB.size + fields["padded"] + 16 + 4:
        raise Refused("malformed")
    if crc32c(record[:-4]) != record[-4:]:
        raise Refused("checksum")
    if fields["padded"] not in PADDED or fields["number"] == 0 or fields["lane"] not in (1, 2, 3, 4):
        raise Refused("malformed")
    return {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()}


def inflate(text):
    """Exactly one raw deflate stream of at most MAX_INFLATED bytes."""
    stream = zlib.decompressobj(-15)
    try:
        body = stream.decompress(text, MAX_INFLATED + 1)
    except zlib.error:
        raise Refused("body") from None
    if not stream.eof or stream.unused_data or len(body) > MAX_INFLATED:
        raise Refused("body")
    return body


def deflate(body):
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(body) + stream.flush()


def open_record(header, key, record):
    """(stub, body, what lies in the record for it)."""
    stub = parse_stub(record)
    if (stub["stream"], stub["context"]) != (header["stream"], header["context"]):
        raise Refused("forged")
    try:
        cipher = SUITES[header["suite"]](key)
        plain = cipher.decrypt(nonce(stub["number"]), record[STUB.size : -4], record[: STUB.size])
    except InvalidTag:
        raise Refused("forged") from None
    (length,) = struct.unpack(">H", plain[:2])
    if length > len(plain) - 2 or any(plain[2 + length :]):
        raise Refused("body")
    inside = plain[2 : 2 + length]
    return stub, inflate(inside) if record[:4] == b"VTB2" else inside, inside


def seal_record(header, key, number, lane, source, count, oldest_minute, span_minutes, body, magic=b"VTB1"):
    padded = next(size for size in PADDED if size >= len(body) + 2)
    ids = bytes.fromhex(header["stream"]), bytes.fromhex(header["context"])
    stub = STUB.pack(magic, *ids, number, lane, source, count, oldest_minute, span_minutes, padded)
    plain = (struct.pack(">H", len(body)) + body).ljust(padded, b"\0")
    record = stub + SUITES[header["suite"]](key).encrypt(nonce(number), plain, stub)
    return record + crc32c(record)


# --- Receipts and commands ---


def receipt_mac(key, context, receipt):
    message = RECEIPT + context + struct.pack(">QI", receipt["journal_epoch"], len(receipt["ranges"]))
    for span in receipt["ranges"]:
        message += struct.pack(">QQ", span["first"], span["last"]) + bytes.fromhex(span["tags_hash"])
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def tags_hash(records):
    return hashlib.sha256(b"".join(record[-20:-4] for record in records)).hexdigest()


# --- Opening vectors ---


def equal(what, found, expected):
    if found != expected:
        raise SystemExit(f"{what}: found {found}, expected {expected}")


def check_vector(vector):
    name, private = vector["name"], bytes.fromhex(vector["patient_private"])
    certificate, header_bytes = bytes.fromhex(vector["gateway_certificate"]), bytes.fromhex(vector["header"])
    header, prefix = verify_header(header_bytes, certificate)
    equal(f"{name}: header", header, vector["header_fields"])
    keys = decapsulate(private, bytes.fromhex(header["encapsulated"]), header_info(prefix))
    equal(f"{name}: batch key", keys[0].hex(), vector["batch_key"])
    equal(f"{name}: receipt key", keys[1].hex(), vector["receipt_key"])
    records = {}
    for sealed in vector["records"]:
        record = bytes.fromhex(sealed["record"])
        stub, body, inside = open_record(header, keys[0], record)
        equal(f"{name}: stub", stub, sealed["stub"])
        equal(f"{name}: body", body.hex(), sealed["body"])
        equal(f"{name}: inside", inside.hex(), sealed.get("deflated", sealed["body"]))
        rest = [stub[field] for field in STUB_FIELDS[2:-1]]
        again = seal_record(header, keys[0], *rest, inside, record[:4])
        equal(f"{name}: sealed again", again.hex(), sealed["record"])
        records[stub["number"]] = record
    for refused in vector["refused"]:
        try:
            if "header" in refused:
                verify_header(bytes.fromhex(refused["header"]), certificate)
            else:
                open_record(header, keys[0], bytes.fromhex(refused["record"]))
            found = "taken"
        except Refused as why:
            found = str(why)
        equal(f"{name}: {refused['what']}", found, refused["error"])
    receipt, command = vector["receipt"], vector["command"]
    equal(f"{name}: receipt", receipt_mac(keys[1], bytes.fromhex(header["context"]), receipt), receipt["mac"])
    for span in receipt["ranges"]:
        covered = [records[number] for number in range(span["first"], span["last"] + 1)]
        equal(f"{name}: tags hash", tags_hash(covered), span["tags_hash"])
    point = bytes.fromhex(command["public_key"])
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    verify(key, bytes.fromhex(command["signature"]), COMMAND + bytes.fromhex(command["command"]))
    return len(vector["records"]), len(vector["refused"])


def open_vectors(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    equal("format", (vectors["format"], vectors["version"]), ("vitaltwin seal vectors", 1))
    counts = [check_vector(vector) for vector in vectors["vectors"]]
    opened, refused = map(sum, zip(*counts))
    print(f"{len(counts)} contexts: {opened} records opened, {refused} changed ones refused as expected")


# --- Making vectors ---


def certificate_for(gateway, key):
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, gateway),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "gateway"),
        ]
    )
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=30))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def sign(key, message):
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def make_vector(suite, public):
    gateway, key = f"second-{suite}", ec.generate_private_key(ec.SECP256R1())
    ids = os.urandom(8), os.urandom(16), os.urandom(16)
    prefix = HEADER.pack(
        b"VTH1", 1, suite, *ids, os.urandom(16), 12, 1_795_219_000_000_000, 9, 3, 1_795_219_200_000_000, len(gateway)
    )
    prefix += gateway.encode()
    encapsulated, keys = encapsulate(public, header_info(prefix))
    signature = sign(key, CONTEXT + prefix + encapsulated)
    header_bytes = prefix + encapsulated + struct.pack(">H", len(signature)) + signature
    header = parse_header(header_bytes)[0]
    # BatchBody.supersedes = [1, 2, ...], of sizes around the padding steps.
    bodies = [b"\x2a" + bytes([n]) + bytes(range(1, n + 1)) for n in (1, 60, 61, 120)] + [b""]
    records = []
    for number, body in enumerate(bodies, 1):
        record = seal_record(header, keys[0], number, 1 + number % 4, number, 7, 29_920_320, 2, body)
        records.append({"stub": parse_stub(record), "body": body.hex(), "record": record.hex()})
    # A list of a thousand numbers, deflated.
    body = b"\x2a\xd0\x0f" + b"\x81\x01" * 1000
    inside = deflate(body)
    record = seal_record(header, keys[0], 6, 2, 1, 7, 29_920_320, 2, inside, b"VTB2")
    records.append({"stub": parse_stub(record), "body": body.hex(), "deflated": inside.hex(), "record": record.hex()})
    raw = [bytes.fromhex(sealed["record"]) for sealed in records]
    ranges = [
        {"first": 1, "last": 2, "tags_hash": tags_hash(raw[:2])},
        {"first": 4, "last": 5, "tags_hash": tags_hash(raw[3:5])},
    ]
    receipt = {"journal_epoch": 3, "ranges": ranges}
    receipt["mac"] = receipt_mac(keys[1], ids[2], receipt)
    centre = ec.generate_private_key(ec.SECP256R1())
    point = centre.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    # Command { gateway, number: 5 }.
    command = b"\x0a" + bytes([len(gateway)]) + gateway.encode() + b"\x10\x05"
    return {
        "name": f"second implementation, suite {suite}",
        "gateway_certificate": certificate_for(gateway, key).hex(),
        "header": header_bytes.hex(),
        "header_fields": header,
        "batch_key": keys[0].hex(),
        "receipt_key": keys[1].hex(),
        "records": records,
        "refused": [],
        "receipt": receipt,
        "command": {
            "public_key": point.hex(),
            "command": command.hex(),
            "signature": sign(centre, COMMAND + command).hex(),
        },
    }


def main(arguments):
    match arguments:
        case ["open", path]:
            open_vectors(path)
        case ["make", public]:
            vectors = [make_vector(suite, bytes.fromhex(public)) for suite in SUITES]
            print(json.dumps({"format": "vitaltwin seal vectors", "version": 1, "vectors": vectors}, indent=1))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
