"""Decodes and checks the vectors in vectors/ from the text of docs/protocol.md alone.

Usage: python3 wire/testdata/decode.py [FILES...]     without files: every vector beside this program

A second reading of the protocol. It shares no code with the implementation and must be written from the text only, so that
what the two disagree on is a fault of one of them or of the text. Section numbers are those of docs/protocol.md; the format
of the files is in vectors/README.md. Exit status 0 when everything agrees, 1 with one line for each disagreement.
"""

import hashlib
import hmac
import pathlib
import re
import sys

# ---------------------------------------------------------------- reading and writing (section 2.1)

class Refused(Exception):
    """The bytes are refused with a code of section 11. `why` is one of the words that REASONS expects."""

    def __init__(self, why, detail, code="malformed"):
        super().__init__(f"{code}, {why}: {detail}")
        self.why, self.code = why, code

def need(condition, why, detail, code="malformed"):
    if not condition:
        raise Refused(why, detail, code)

def u(size, value):
    return value.to_bytes(size, "big")

def varint(value):
    """RFC 9000 section 16, always the shortest form."""
    for prefix, size in enumerate((1, 2, 4, 8)):
        if value < 1 << (8 * size - 2):
            return u(size, value | prefix << (8 * size - 2))
    raise ValueError("too large for a varint")

def opaque8(data):
    return u(1, len(data)) + data

def opaque16(data):
    return u(2, len(data)) + data

def len32(data):
    return u(4, len(data)) + data

class Reader:
    """Reads the primitive encodings, and keeps each value with the writer that must give its bytes again."""

    def __init__(self, data):
        self.data, self.at, self.items = data, 0, []

    def take(self, size, what):
        need(size <= len(self.data) - self.at, "cut", what)
        self.at += size
        return self.data[self.at - size : self.at]

    def keep(self, value, writer):
        self.items.append((value, writer))
        return value

    def number(self, size, what, among=None, why="range"):
        value = int.from_bytes(self.take(size, what), "big")
        need(among is None or value in among, why, f"{what} is {value}")
        return self.keep(value, lambda v: u(size, v))

    def flag(self, what):
        return self.number(1, what, (0, 1), "flag")

    def varint(self, what, among=None):
        first = self.take(1, what)
        raw = first + self.take((1 << (first[0] >> 6)) - 1, what)
        value = int.from_bytes(raw, "big") & (1 << (8 * len(raw) - 2)) - 1
        need(varint(value) == raw, "varint", what)
        need(among is None or value in among, "range", f"{what} is {value}")
        return self.keep(value, varint)

    def fixed(self, size, what):
        return self.keep(self.take(size, what), bytes)

    def opaque(self, width, what, low=0, high=65535):
        size = int.from_bytes(self.take(width, what), "big")
        need(low <= size <= high, "range", f"{what} of {size} bytes")
        return self.keep(self.take(size, what), {1: opaque8, 2: opaque16}[width])

    def text(self, width, what, high=65535):
        value = self.opaque(width, what, 0, high)
        need(not any(c < " " or "\x7f" <= c <= "\x9f" for c in utf8(value, what)), "text", f"control character in {what}")
        return value

    def rest(self, what, low=0, high=None):
        size = len(self.data) - self.at
        need(low <= size and (high is None or size <= high), "range", f"{what} of {size} bytes")
        return self.keep(self.take(size, what), bytes)

    def end(self):
        need(self.at == len(self.data), "trailing", f"{len(self.data) - self.at} bytes")

    def encoded(self, first=0):
        return b"".join(writer(value) for value, writer in self.items[first:])

def utf8(data, what):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("text", f"{what} is not UTF-8") from None

def ascending(values, what):
    """Sorted, and each once."""
    need(all(a < b for a, b in zip(values, values[1:])), "order", what)
    return values

# ---------------------------------------------------------------- structures, one function each

def bare_varint(r):  # 2.1
    r.varint("value")

def frame(r):  # 2.3
    r.number(1, "type", range(0x01, 0x0E), "unknown")
    size = r.varint("length")
    need(size <= 65536, "limit", f"body of {size} bytes", "limit-exceeded")  # before the body is there
    r.items.pop()  # the length is no field of its own: it is written with the body
    r.keep(r.take(size, "body"), lambda body: varint(len(body)) + body)

def suites(r, low=1, high=16):  # 3.1
    return ascending([r.number(2, "suite") for _ in range(r.number(1, "suites", range(low, high + 1)))], "suites")

def share(r):  # 3.1
    return r.number(2, "group"), r.opaque(2, "share")

def chain(r):  # 3.3
    return [r.opaque(2, "certificate", 1, 8192) for _ in range(r.number(1, "chain", range(1, 6)))]

def staples(r, certificates):  # 3.3
    found = [r.opaque(2, "staple", 0, 4096) for _ in range(r.number(1, "staples", range(len(certificates) + 1)))]
    need(not found or found[-1], "range", "a last staple that is empty")

def carried_delegation(r):  # 3.3: the statement, or nothing
    if not r.flag("delegation"):
        return b""
    statement = r.opaque(2, "delegation")
    whole(delegation, statement)
    seal(r)
    return statement

def limits(r):  # 3.3, 3.6
    r.number(8, "messages")
    r.number(4, "seconds")

def handshake_message(r):  # section 10
    need(len(r.data) <= 61440, "limit", "handshake message", "limit-exceeded")

def hello(r):  # 3.3
    handshake_message(r)
    ascending([r.number(2, "version") for _ in range(r.number(1, "versions", range(1, 9)))], "versions")
    kind = r.number(1, "kind", range(1, 5), "unknown")
    suites(r)
    shares = [share(r) for _ in range(r.number(1, "shares", range(1, 5)))]
    ascending([group for group, _ in shares], "shares")
    r.fixed(32, "nonce")
    certificates = chain(r)
    staples(r, certificates)
    delegated = carried_delegation(r)
    limits(r)
    context = r.rest("context")
    whole({1: hop_context, 2: conversation_context, 3: rekey_context, 4: rekey_context}[kind], context)
    return {"kind": kind, "leaf": certificates[0], "delegation": delegated}

def answer(r):  # 3.4
    handshake_message(r)
    r.number(2, "version")
    suites(r)
    suite = r.number(2, "suite")
    share(r)
    r.fixed(32, "nonce")
    certificates = chain(r)
    staples(r, certificates)
    return {"suite": suite, "leaf": certificates[0], "delegation": carried_delegation(r)}

def proof(r):  # 3.5; a mac of any length: one that is not as long as the suite's hash is wrong, not malformed
    handshake_message(r)
    return {"seal": seal(r), "delegation": carried_delegation(r), "mac": r.opaque(1, "mac")}

def accept(r):  # 3.6
    handshake_message(r)
    return {"parameters": r.opaque(2, "parameters"), "seal": seal(r), "mac": r.opaque(1, "mac")}

def hop_parameters(r):  # 3.6
    r.fixed(16, "session id")
    limits(r)
    level(r)
    r.text(1, "display name", 200)

def conversation_parameters(r):  # 3.6
    limits(r)

def hop_context(r):  # 3.2
    r.fixed(32, "channel binding")
    r.text(1, "name", 200)

def conversation_context(r):  # 3.2
    r.fixed(16, "conversation id")
    identity(r)
    identity(r)

def rekey_context(r):  # 3.2
    r.fixed(32, "channel id")
    r.opaque(1, "TH", 0, 255)

def switched(r):  # 9.3
    r.varint("epoch")
    lanes = []
    for _ in range(r.varint("lanes", range(257))):
        lanes.append(r.varint("lane"))
        need(r.varint("last") > 0, "range", "a lane without envelopes")
    ascending(lanes, "lanes")
    r.fixed(32, "mac")

def rekey_please(r):  # 9.3
    r.varint("epoch")
    r.fixed(32, "mac")

def identity(r):  # 7.1
    return r.text(1, "identity", 200)

def level(r):  # 7.1
    r.number(2, "rank")
    names = []
    for _ in range(r.number(1, "compartments", range(17))):
        names.append(r.opaque(1, "compartment", 1, 32))
        need(re.fullmatch(rb"[a-z0-9-]+", names[-1]), "text", "compartment")
    ascending(names, "compartments")

def leaves_of(r):  # 4.2
    leaves = r.number(4, "leaves")
    need(leaves in [1 << n for n in range(17)], "range", f"{leaves} leaves")
    return leaves

def place_in_tree(r, leaves):  # 4.3, 5.6
    r.number(4, "index", range(leaves))
    r.fixed(16, "salt")
    for _ in range(leaves.bit_length() - 1):
        r.fixed(32, "path")

def seal(r):  # 4.3; as encoded
    first = len(r.items)
    r.number(2, "scheme")
    r.opaque(2, "signature", 1, 1024)
    r.number(8, "time")
    place_in_tree(r, leaves_of(r))
    return r.encoded(first)

def seal_frame(r):  # 5.6
    r.number(2, "scheme")
    r.opaque(2, "signature", 1, 1024)
    r.number(8, "time")
    leaves = leaves_of(r)
    for _ in range(r.varint("entries", range(1, 1025))):
        place_in_tree(r, leaves)
        head(r)

def delegation(r):  # 4.5
    r.fixed(32, "key")
    purposes = r.number(2, "purposes")
    need(not purposes & ~0b1110, "range", "a delegation for what cannot be delegated")
    r.number(8, "not after")
    r.text(1, "deployment", 200)

CONTENT, TEXTS = 16, 17  # 5.2

def header(r):  # 5.1; its type, and of each envelope that it stands for the header without commitment, and the commitment
    epoch, seq = r.varint("epoch"), r.varint("seq")
    kind = r.number(1, "type", (1, 2, 3, CONTENT, TEXTS), "unknown")
    if kind not in (CONTENT, TEXTS):
        return kind, []
    first = len(r.items)
    level(r)
    label = r.encoded(first)
    count = r.number(1, "commitments", range(2, 65)) if kind == TEXTS else 1
    need(seq + count <= 1 << 62, "range", "the last of its numbers is no varint")
    return kind, [(varint(epoch) + varint(seq + i) + u(1, CONTENT) + label, r.fixed(32, "commitment")) for i in range(count)]

def envelope(r):  # 5.1
    header(r)
    size = r.at
    r.rest("ciphertext", 16)
    return r.data[:size], r.data[size:]

def content(r):  # 5.4
    r.fixed(32, "parties")
    r.fixed(16, "id")
    r.number(8, "time")
    kind = r.number(1, "type", (1, 2, 3, 4), "unknown")
    if kind == 1:  # any UTF-8: this is no text8 or text16
        r.varint("number")
        utf8(r.rest("text", 1, 61000), "text")
    elif kind in (2, 4):
        r.fixed(32, "machine hash")
        r.text(2, "description", 1024)

def texts(r):  # 5.4; the contents that they are, each alone. The count is no part of it: README.md
    count = r.number(1, "count", range(2, 65))
    shared = r.fixed(32, "parties")
    return [shared + text_of_several(r) for _ in range(count)]

def text_of_several(r):  # 5.4; without the parties: id, time, type, number, text
    first = len(r.items)
    r.fixed(16, "id")
    r.number(8, "time")
    before = r.encoded(first)
    number = r.varint("number")
    size = r.varint("length")
    r.items.pop()  # as in a frame
    text = r.keep(r.take(size, "text"), lambda text: varint(len(text)) + text)
    need(1 <= size <= 61000, "range", f"text of {size} bytes")
    utf8(text, "text")
    return before + u(1, 1) + varint(number) + text

def head(r):  # 5.5
    r.fixed(32, "channel")
    r.varint("lane")
    r.number(1, "role", (1, 2), "unknown")
    for _ in range(r.flag("flags") + 1):  # mine when the flag is set, then yours
        r.varint("epoch")
        r.varint("count")
        r.fixed(32, "T")

def machine(r):  # 7.5
    r.fixed(32, "machine hash")
    r.fixed(32, "MAC")

def probe(r):  # 2.3
    r.fixed(8, "nonce")

def waiting(r):  # 2.3
    r.number(1, "what for", (1, 2))

def audit_head(r):  # 4.6
    r.fixed(16, "log")
    r.number(8, "size", range(1, 1 << 64))
    r.fixed(32, "root")

def alive(r):  # 2.3
    need(not any(r.fixed(32, "zeros")), "zeros", "not all are")

def peer_id(r):  # 7.2
    r.number(4, "id", range(1, 1 << 32))

def peers_entry(r):  # 7.2
    peer_id(r)
    r.text(1, "name", 200)
    identity(r)
    r.fixed(32, "certificate")
    level(r)
    suites(r)
    r.flag("may write")

def control(r):  # 7.2, 7.3
    kind = r.number(1, "kind", range(0x01, 0x0E), "unknown")
    if kind in (0x01, 0x02, 0x03, 0x04, 0x05, 0x07, 0x08, 0x0A):
        r.varint("req")
    if kind in (0x04, 0x06, 0x07, 0x09, 0x0A):
        r.fixed(16, "conversation id")
    if kind == 0x02:  # peers
        r.flag("more")
        for _ in range(r.varint("entries", range(65))):
            peers_entry(r)
    elif kind == 0x03:  # connect
        peer_id(r)
        suites(r)
    elif kind == 0x05:  # refused
        code = r.number(2, "code")
        suites(r, 1, 16) if code == 6 else suites(r, 0, 0)
    elif kind == 0x06:  # open
        r.number(1, "role", (1, 2), "unknown")
        r.flag("may write")
        r.flag("other may write")
        level(r)
        peers_entry(r)
    elif kind in (0x07, 0x09):  # disconnect, closed
        r.number(2, "code")
    elif kind in (0x0A, 0x0D):  # write-request, level
        level(r)
    elif kind == 0x0C:  # going-away
        r.number(2, "seconds")

STRUCTURES = {
    "varint": bare_varint, "frame": frame, "hello": hello, "answer": answer, "proof": proof, "accept": accept,
    "hop-parameters": hop_parameters, "conversation-parameters": conversation_parameters, "hop-context": hop_context,
    "conversation-context": conversation_context, "seal": seal, "delegation": delegation, "envelope": envelope,
    "content": content, "texts": texts, "head": head, "seal-frame": seal_frame, "machine": machine, "probe": probe, "waiting": waiting, "alive": alive,
    "audit-head": audit_head,
    "control": control, "rekey-context": rekey_context, "switched": switched, "rekey-please": rekey_please,
}

def whole(structure, data):
    """Reads a structure that must fill the data, which must be what its values encode to."""
    r = Reader(data)
    value = structure(r)
    r.end()
    if r.encoded() != data:
        raise AssertionError("encoding what was read gives other bytes")
    return value

# ---------------------------------------------------------------- derived values

def H(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

KINDS = {1: b"hop", 2: b"conversation", 3: b"hop rekey", 4: b"conversation rekey"}  # 3.2
SUITES = {1: ("sha384", 32), 2: ("sha256", 32), 3: ("sha256", 32), 4: ("sha256", 32), 5: ("sha256", 16)}  # 3.1: hash, key

def transcript_hashes(v):  # 3.7, 3.9
    h, a = whole(hello, v.one("hello")), whole(answer, v.one("answer"))
    p, c = whole(proof, v.one("proof")), whole(accept, v.one("accept"))
    name, kind = SUITES[a["suite"]][0], KINDS[h["kind"]]

    def digest(role, *parts):
        return hashlib.new(name, b"sinete/1 " + kind + b" " + role + b"\0" + b"".join(map(len32, parts))).digest()

    th2 = digest(b"initiator", v.one("hello"), v.one("answer"))
    th3 = digest(b"responder", th2, v.one("proof"), c["parameters"])
    th = digest(b"channel", th3, c["seal"], c["mac"])
    if len(p["mac"]) != len(th) or len(c["mac"]) != len(th):
        raise AssertionError("a mac that is not as long as the suite's hash")
    if h["kind"] == 2:
        whole(conversation_parameters, c["parameters"])
    mac_i = b"".join(map(len32, (th2, h["leaf"], p["seal"], p["delegation"] or h["delegation"])))
    mac_r = b"".join(map(len32, (th3, a["leaf"], c["seal"], a["delegation"])))
    return [("th2", th2), ("th3", th3), ("th", th), ("channel-id", H(th)),
            ("mac-input-of-proof", mac_i), ("mac-input-of-accept", mac_r)]

def signer(certificate, statement):  # 4.1
    return H(b"sinete/1 signer\0", len32(certificate), len32(statement))

def signer_of(v):
    if v.one("delegation"):
        whole(delegation, v.one("delegation"))
    return [("signer", signer(v.one("certificate"), v.one("delegation")))]

def seal_input(v):  # 4.1
    signed = b"\x20" * 64 + b"sinete/1 seal\0" + v.fixed("signer", 32) + u(8, v.number("time"))
    signed += u(4, v.number("leaves")) + v.fixed("root", 32)
    if len(signed) != 154:
        raise AssertionError(f"{len(signed)} bytes to sign")
    return [("signed", signed)]

def leaf(purpose, salt, statement):  # 4.2
    return H(b"\0", u(1, purpose), salt, H(statement))

def node(left, right):  # 4.2
    return H(b"\1", left, right)

def root_from(value, index, path):  # 4.3
    for height, sibling in enumerate(path):
        value = node(sibling, value) if index >> height & 1 else node(value, sibling)
    return value

def tree(v):  # 4.2, 4.3
    leaves = [leaf(int.from_bytes(p, "big"), s, t) for p, s, t in zip(v["purpose"], v["salt"], v["statement"])]
    rows = [leaves + v["padding"]]
    if len(rows[0]) & len(rows[0]) - 1:
        raise AssertionError("leaves and padding are no power of two")
    while len(rows[-1]) > 1:
        rows.append([node(*rows[-1][i : i + 2]) for i in range(0, len(rows[-1]), 2)])
    root = rows[-1][0]
    paths = [[row[i >> height ^ 1] for height, row in enumerate(rows[:-1])] for i in range(len(leaves))]
    if any(root_from(value, i, paths[i]) != root for i, value in enumerate(leaves)):
        raise AssertionError("a path does not lead to the root")
    return [("leaf", x) for x in leaves] + [("path", b"".join(x)) for x in paths] + [("root", root)]

def place(v):  # 3.9: lane and direction, as in 5.1, 5.4 and 5.5
    return u(8, v.number("lane")) + u(1, v.number("direction"))

def inner_digests(data):  # 5.5: of each envelope that this one stands for
    head_of, ciphertext = whole(envelope, data)
    kind, several = whole(header, head_of)
    headers = [b"".join(of) for of in several] if kind == TEXTS else [head_of]
    return [(of, H(of, H(ciphertext))) for of in headers]

def digests(v):  # 5.1, 5.5
    inner = v.one("inner-envelope")
    for name in ("header-around", "header-of-other"):
        whole(header, v.one(name))
    ((_, digest),) = inner_digests(inner)
    return [("associated-data", v.fixed("channel", 32) + place(v) + whole(envelope, inner)[0]),
            ("inner-digest", digest),
            ("digest-around", H(v.one("header-around"), digest)),
            ("digest-of-other", H(v.one("header-of-other"), H(v.one("payload-of-other"))))]

def texts_digests(v):  # 5.1, 5.5
    inner, r = v.one("inner-envelope"), Reader(v.one("header-around"))
    if header(r)[0] != 2:
        raise AssertionError("a header around an inner envelope that is of another type")
    r.end()
    epoch, seq = r.items[0][0], r.items[1][0]
    out = [("associated-data", v.fixed("channel", 32) + place(v) + whole(envelope, inner)[0])]
    for i, (of, digest) in enumerate(inner_digests(inner)):
        around = varint(epoch) + varint(seq + i) + u(1, 2)
        out += [("header-of-one", of), ("inner-digest", digest), ("header-around-one", around), ("digest-around", H(around, digest))]
    return out

def first_transcript(th, lane_and_direction, last=0, t=bytes(32)):  # 5.5
    return H(b"sinete/1 lane\0", opaque8(th), lane_and_direction, u(8, last), t)

def transcript(v):  # 5.5
    values = [first_transcript(v.one("th"), place(v), v.number("last"), v.fixed("t", 32))]
    for data in v["inner-envelope"]:
        for _, digest in inner_digests(data):
            values.append(H(values[-1], digest))
    return [("transcript", x) for x in values]

def comparison(v):  # 5.8
    password = v.fixed("channel", 32) + b"".join(count + t for count, t in zip(v["count"], v["t"]))
    value = int.from_bytes(hashlib.pbkdf2_hmac("sha256", password, b"sinete/1 compare\0", 131072, 32), "big") % 10**30
    digits = "%030d" % value
    return [("code", " ".join(digits[i:i + 5] for i in range(0, 30, 5)).encode())]

def parties(v):  # 5.4
    return [("parties", H(b"sinete/1 parties\0", opaque8(v.one("author")), H(v.one("author-spki")),
                          opaque8(v.one("recipient")), H(v.one("recipient-spki"))))]

def commitment(v):  # 5.4
    r = Reader(v.one("header-without-commitment") + bytes(32))  # what it is cut from must be a header
    kind, _ = header(r)
    r.end()
    if kind != CONTENT:
        raise AssertionError("a header that has no commitment")
    return [("commitment", commitment_to(v, v.fixed("opening-key", 32), v.one("header-without-commitment"), v.one("content")))]

def commitment_to(v, opening, uncommitted, said):  # 5.4
    whole(content, said)
    return hmac.digest(opening, v.fixed("channel", 32) + place(v) + uncommitted + said, "sha256")

def opening_of_text(opening, i):  # 5.3
    return H(b"sinete/1 opening\0", opening, u(4, i))

def text_opening(v):  # 5.3
    return [("opening-key-of-text", opening_of_text(v.fixed("opening-key", 32), int.from_bytes(i, "big"))) for i in v["index"]]

def texts_commitments(v):  # 5.3, 5.4: what the recipient does, so they must be those in the header
    kind, several = whole(header, v.one("header"))
    if kind != TEXTS:
        raise AssertionError("a header of no texts")
    contents, out = whole(texts, u(1, len(several)) + v.one("texts")), []
    for i, ((uncommitted, wanted), said) in enumerate(zip(several, contents, strict=True)):
        opening = opening_of_text(v.fixed("opening-key", 32), i)
        found = commitment_to(v, opening, uncommitted, said)
        if found != wanted:
            raise AssertionError(f"text {i} does not keep its commitment")
        out += [("header-without-commitment", uncommitted), ("content", said), ("opening-key-of-text", opening), ("commitment", found)]
    return out

def machine_hash(v):  # 7.5
    return [("machine-hash", H(b"sinete/1 machine\0", opaque8(v.one("own")), opaque8(v.one("other")), len32(v.one("facts"))))]

def receipt(v):  # 6, 5.5, 4.2
    th, role = v.one("th"), v.number("role")

    def part(direction, of):
        t = first_transcript(th, u(8, v.number("lane")) + u(1, direction))
        for digest in of:
            t = H(t, digest)
        return varint(v.number("epoch")) + varint(len(of)) + t

    statement = H(th) + varint(v.number("lane")) + u(1, role) + u(1, v.number("flags"))
    if v.number("flags") & 1:
        statement += part(role, v["my-digest"])  # the initiator, role 1, sends in direction 1
    statement += part(3 - role, v["your-digest"])
    whole(head, statement)
    return [("statement", statement), ("leaf", leaf(3, v.fixed("salt", 16), statement))]

# ---------------------------------------------------------------- key schedule (3.9), nonce (5.1), ratchet (5.3), machine (7.5)

def extract(name, salt, secret):  # RFC 5869
    return hmac.digest(salt, secret, name)

def expand(name, secret, info, size):  # RFC 5869
    out = block = b""
    for i in range(-(-size // hashlib.new(name).digest_size)):
        block = hmac.digest(secret, block + info + u(1, i + 1), name)
        out += block
    return out[:size]

def expand_label(name, secret, label, context, size):  # 3.9
    return expand(name, secret, u(2, size) + opaque8(b"sinete/1 " + label) + opaque8(context), size)

def hash_size(suite):
    return hashlib.new(SUITES[suite][0]).digest_size

def suite_of(v, *names):
    """The suite; the named fields must be as long as its hash."""
    suite = v.number("suite")
    for name in names:
        v.fixed(name, hash_size(suite))
    return suite

def key_schedule(v):  # 3.9
    suite = suite_of(v, "th2", "th")
    name, key_size = SUITES[suite]
    size, th2, th = hash_size(suite), v.one("th2"), v.one("th")
    prk = extract(name, v.one("salt") or bytes(size), v.one("shared-secret"))
    return [("prk", prk)] + [(out, expand_label(name, prk, label, context, n)) for out, label, context, n in (
        ("mac-i", b"mac i", th2, size), ("mac-r", b"mac r", th2, size),
        ("par-key", b"parameters key", th2, key_size), ("par-iv", b"parameters iv", th2, 12),
        ("chain", b"chain", th, size), ("lanes", b"lanes", th, size))]

def hop_lane(suite, lanes, lane, direction):  # 3.9
    name, key_size = SUITES[suite]
    where = u(8, lane) + u(1, direction)
    return [("key", expand_label(name, lanes, b"lane key", where, key_size)),
            ("iv", expand_label(name, lanes, b"lane iv", where, 12))]

def conversation_lane(suite, prk, th, lane, direction):  # 3.9
    name = SUITES[suite][0]
    where = opaque8(th) + u(8, lane) + u(1, direction)
    return [("ratchet", expand_label(name, prk, b"lane ratchet", where, 32)),
            ("iv", expand_label(name, prk, b"lane iv", where, 12))]

def lane_keys(v):  # 3.9
    lane = v.number("lane")
    if v["lanes"]:
        suite = suite_of(v, "lanes")
        return [x for direction in (1, 2) for x in hop_lane(suite, v.one("lanes"), lane, direction)]
    suite = suite_of(v, "prk", "th")
    return [x for direction in (1, 2) for x in conversation_lane(suite, v.one("prk"), v.one("th"), lane, direction)]

def nonces(v):  # 5.1
    iv = v.fixed("iv", 12)
    return [("nonce", iv[:4] + u(8, int.from_bytes(iv[4:], "big") ^ int.from_bytes(seq, "big"))) for seq in v["seq"]]

def ratchet(v):  # 5.3
    state, out = v["ratchet"][0], []
    for _ in range(3):
        block = expand("sha256", state, b"sinete/1 ratchet", 96)
        state = block[:32]
        out += [("ratchet", state), ("key", block[32:64]), ("opening-key", block[64:])]
    return out

def machine_mac(v):  # 7.5
    suite = suite_of(v, "prk", "th")
    key = expand_label(SUITES[suite][0], v.one("prk"), b"machine", v.one("th") + u(1, v.number("direction")), 32)
    return [("machine-key", key), ("mac", hmac.digest(key, v.fixed("machine-hash", 32) + u(1, v.number("noticed")), "sha256"))]

def rekey_mac(v):  # 9.3; direction 0: rekey-please
    suite, direction = suite_of(v, "prk", "th"), v.number("direction")
    label, context = (b"switched", v.one("th") + u(1, direction)) if direction else (b"rekey please", v.one("th"))
    key = expand_label(SUITES[suite][0], v.one("prk"), label, context, 32)
    return [("mac-key", key), ("mac", hmac.digest(key, v.fixed("channel", 32) + v.one("unsigned"), "sha256"))]

def handshake_mac(v, label, th):  # 3.9; th is what the seal is over
    suite = suite_of(v, "prk", "th2", th)
    whole(seal, v.one("seal"))
    if v.one("delegation"):
        whole(delegation, v.one("delegation"))
    key = expand_label(SUITES[suite][0], v.one("prk"), label, v.one("th2"), hash_size(suite))
    said = b"".join(len32(v.one(part)) for part in (th, "certificate", "seal", "delegation"))
    return [("mac", hmac.digest(key, said, SUITES[suite][0]))]

def proof_mac(v):
    return handshake_mac(v, b"mac i", "th2")

def accept_mac(v):
    return handshake_mac(v, b"mac r", "th3")

# What goes in, as the names in their order, and what computes the rest.
COMPUTED = {
    "transcript-hashes": ("hello answer proof accept ", transcript_hashes),
    "signer": ("certificate delegation ", signer_of),
    "seal-input": ("signer time leaves root ", seal_input),
    "tree": ("(purpose salt statement )+(padding )*", tree),
    "digests": ("channel lane direction inner-envelope header-around header-of-other payload-of-other ", digests),
    "transcript": ("th lane direction last t (inner-envelope )*", transcript),
    "parties": ("author author-spki recipient recipient-spki ", parties),
    "commitment": ("opening-key channel lane direction header-without-commitment content ", commitment),
    "text-opening": ("opening-key (index )*", text_opening),
    "texts-commitments": ("opening-key channel lane direction header texts ", texts_commitments),
    "texts-digests": ("channel lane direction inner-envelope header-around ", texts_digests),
    "comparison": ("channel (count t ){2}", comparison),
    "machine-hash": ("own other facts ", machine_hash),
    "receipt": ("th lane role flags epoch (my-digest )*(your-digest )*salt ", receipt),
    "key-schedule": ("suite salt shared-secret th2 th ", key_schedule),
    "lane-keys": ("suite (lanes |prk th )lane ", lane_keys),
    "nonce": ("iv (seq )*", nonces),
    "ratchet": ("ratchet ", ratchet),
    "machine-mac": ("suite prk th direction machine-hash noticed ", machine_mac),
    "rekey-mac": ("suite prk th direction channel unsigned ", rekey_mac),
    "proof-mac": ("suite prk th2 certificate seal delegation ", proof_mac),
    "accept-mac": ("suite prk th2 th3 certificate seal delegation ", accept_mac),
}

# ---------------------------------------------------------------- vectors

# Why a vector must be refused, by what its comment says: the first line that fits. One that none fits is only refused.
REASONS = [(re.compile(words), why) for words, why in (
    (r"trailing|too-low|path-too-long|with-unflagged|^9-bytes", "trailing"),
    (r"longer-than-needed|-in-\d$", "varint"),
    (r"cut|length-too-high|count-too-high|path-too-short|than-(its|their)-bytes|without-flagged|^7-bytes|^empty$", "cut"),
    (r"unsorted|twice", "order"),
    (r"character|utf-8|surrogate|upper-case", "text"),
    (r"flags?-\d|more-2|write-2", "flag"),
    (r"(type|kind|role)-\d", "unknown"),
    (r"body-too-long", "limit"),
    (r"\bno-|empty|without-suite|with-suites|leaves-\d|beyond|delegates|^\d$"
     r"|^\d+-[a-z]|-\d\d+-[a-z]|-of-\d|more-staples|staple-empty|id-0|size-0|purpose|-without-envelopes|-lanes$", "range"),
)]

class Vector:
    """One file: expect, kind, comment, and fields as (name, bytes) in their order."""

    def __init__(self, path):
        text = path.read_bytes().decode("utf-8")
        lines = [re.fullmatch(r"([^:\n]+):(?: ([^\n]+))?\n", line) for line in re.findall(r"[^\n]*\n|[^\n]+$", text)]
        if not all(lines) or [line[1] for line in lines[:3]] != ["expect", "kind", "comment"]:
            raise AssertionError("not in the format of a vector")
        self.expect, self.kind, self.comment = (line[2] or "" for line in lines[:3])
        if not all(re.fullmatch("(?:[0-9a-f]{2})*", line[2] or "") for line in lines[3:]):
            raise AssertionError("a value that is not lower-case hexadecimal")
        self.fields = [(line[1], bytes.fromhex(line[2] or "")) for line in lines[3:]]

    def __getitem__(self, name):
        return [value for of, value in self.fields if of == name]

    def one(self, name):
        (value,) = self[name]
        return value

    def fixed(self, name, size):
        if len(self.one(name)) != size:
            raise AssertionError(f"{name} is not {size} bytes long")
        return self.one(name)

    def number(self, name):
        return int.from_bytes(self.fixed(name, 8), "big")

def compare(got, expected):
    if len(got) != len(expected):
        raise AssertionError(f"{len(got)} values, and the vector has {len(expected)}")
    for value, (name, wanted) in zip(got, expected):
        if value != wanted:
            raise AssertionError(f"{name} is {value.hex()}, and the vector has {wanted.hex()}")

def check_structure(v):
    if not v.fields or v.fields[0][0] != "bytes":
        raise AssertionError("no bytes")
    data = v.fields[0][1]
    r = Reader(data)
    try:
        STRUCTURES[v.kind](r)
        r.end()
    except Refused as refused:
        if refused.code != v.expect:
            raise AssertionError(f"refused: {refused}") from None
        if len(v.fields) != 1:
            raise AssertionError("fields of bytes that are refused") from None
        expected = next((why for words, why in REASONS if words.search(v.comment)), refused.why)
        if refused.why != expected:
            raise AssertionError(f"refused for another reason than {expected}: {refused}") from None
        return
    if v.expect != "ok":
        raise AssertionError("accepted")
    if r.encoded() != data:
        raise AssertionError("encoding what was read gives other bytes")
    compare([u(8, x) if isinstance(x, int) else x for x, _ in r.items], v.fields[1:])

def check_computed(v):
    pattern, compute = COMPUTED[v.kind]
    names = re.match(pattern, "".join(name + " " for name, _ in v.fields))
    if v.expect != "ok" or not names:
        raise AssertionError("not the fields of its kind")
    got, expected = compute(v), v.fields[names[0].count(" ") :]
    if [name for name, _ in got] != [name for name, _ in expected]:
        raise AssertionError("not the fields of its kind")
    compare([value for _, value in got], expected)

def check(path):
    """Checks one file, and gives its kind."""
    v = Vector(path)
    if v.expect not in ("ok", "malformed", "limit-exceeded"):
        raise AssertionError(f"expects {v.expect}")
    if v.kind in STRUCTURES:
        check_structure(v)
    elif v.kind in COMPUTED:
        check_computed(v)
    else:
        raise AssertionError(f"unknown kind {v.kind}")
    return v.kind

def main(arguments):
    paths = [pathlib.Path(x) for x in arguments] or sorted((pathlib.Path(__file__).parent / "vectors").glob("*.txt"))
    counts, wrong = dict.fromkeys([*STRUCTURES, *COMPUTED], 0), 0
    for path in paths:
        try:
            counts[check(path)] += 1
        except Exception as error:  # one line a disagreement, whatever it is
            wrong += 1
            print(f"{path.name}: {type(error).__name__}: {error}")
    for kind, count in counts.items():
        print(f"{count:5} {kind}")
    print(f"{len(paths)} vectors, {len(paths) - wrong} agree, {wrong} do not")
    return 0 if paths and not wrong else 1

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
