"""Write the corpora's first files from the recorded conversations: ``python fuzz/seeds.py``.

Files that begin with ``seed-`` are this script's; the others were found by fuzzing and stay.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
DATA = HERE.parent / "tests" / "data"

EVERY_VARIANT = range(5)
CUTS = (bytes([160, 0, 1, 7, 33, 250, 2, 80]), bytes([1] * 8), bytes(8))
# As a target's take_rate reads them.
RATES = {8000: 0, 16_000: 1, 24_000: 2, 48_000: 3, 11_025: 4, 44_100: 6, 7000: 206, 13_000: 212, 50_000: 249}


def spoken() -> tuple[list[dict[str, object]], bytes, bytes]:
    """Return the text messages of a Twilio call, their audio, and loud samples: recordings begin with silence."""
    twilio = (DATA / "twilio" / "twilio_bidirectional.jsonl").read_text(encoding="utf-8").splitlines()
    messages = [json.loads(line) for line in twilio]
    texts = [json.loads(message["wire"]) for message in messages if message["kind"] == "text"]
    mulaw = [base64.b64decode(text["media"]["payload"]) for text in texts if text["event"] == "media"]
    loud = ((i * i // 3 + i * 7919) % 24_001 - 12_000 for i in range(1300))
    return texts, b"".join(mulaw[:12]), struct.pack("<1300h", *loud)


def rate_byte(hz: int) -> bytes:
    return bytes([RATES[hz]])


def envelopes(texts: list[dict[str, object]], mulaw: bytes) -> Iterator[bytes]:
    events = {str(text["event"]): text for text in texts}
    for text in events.values():
        yield b"\0" + json.dumps(text, separators=(",", ":")).encode()
    media = {"event": "media", "streamSid": "MZ18ad00000000000000000000000000b2"}
    for track in ("inbound", "outbound", "in\u00e9", 5, None):
        message = media | {"media": {"track": track, "payload": base64.b64encode(mulaw[:20]).decode()}}
        yield b"\0" + json.dumps(message).encode()
        yield b"\0" + json.dumps(message, indent=1, ensure_ascii=False).encode()
    yield b'\1{"a":{"c":"x","b":"AAAA","d":"y"},"e":{"b":"z"},"f":""}'
    yield b'\1{"g":[[{}],-1.5e+3,true],"a":{"c":"x","b":"AAAA","d":"n"},"e":{"b":"z","b":"z"}}'
    yield b'\2{"p":"AA==","q":' + b"[" * 32 + b"]" * 32 + b"}"
    yield b'\2{"p":"AA==","q":' + b"[" * 33 + b"]" * 33 + b"}"
    yield b'\2{"p":"AA=\\u003d"}'
    yield b'\2{"n":[0,12,-3,-0.50,1.5e-07,2E+9,{"s":"\\"\\\\\\u00fF\\n","":[]}],"p":"AAAA","q":"\\/"}'
    yield b'\1{"a":{"c":"x"},"a":{"b":"AAAA"},"e":{"b":"z"}}'
    yield b'\3{"":{"p":"1","pay":"AAAA"},"p":{"":"2"}}'


def kernels() -> dict[str, list[bytes]]:
    """Return what each of the kernels' targets starts from."""
    texts, mulaw, pcm = spoken()
    samples = struct.pack("<8h", 0, 1, -1, 32_767, -32_768, 132, -8159, 255) + pcm[:2600]
    pairs = [
        (8000, 16_000),
        (16_000, 8000),
        (24_000, 16_000),
        (8000, 24_000),
        (44_100, 16_000),
        (16_000, 44_100),
    ]
    pairs += [(11_025, 8000), (48_000, 7000), (13_000, 16_000), (8000, 8000), (50_000, 8000)]
    rates = [rate_byte(from_hz) + rate_byte(to_hz) for from_hz, to_hz in pairs]
    found: dict[str, list[bytes]] = {
        "base64": [base64.b64encode(mulaw[:n]) for n in (0, 1, 2, 3, 160)]
        + [b"AA=A", b"====", b"AB==", b"QUJD-_"],
        "envelope": list(envelopes(texts, mulaw)),
        "g711": [
            bytes([variant, 3 * variant]) + bytes(range(256)) + samples[:300] for variant in EVERY_VARIANT
        ],
        "slicer": [
            struct.pack("<BH", 0, 159) + CUTS[0] + bytes(range(256)) * 4,
            struct.pack("<BH", 1, 319) + CUTS[1] + pcm[:700],
            struct.pack("<BH", 0, 0) + CUTS[2] + bytes(range(50)),
        ],
        "resampler": [],
        "converter": [],
        "line": [],
        "ws": [
            bytes.fromhex("8185 37fa213d 7f9f4d5158".replace(" ", "")),
            b"\x82\x7e\x01\x00" + bytes(256),
            b"\x82\x7f" + (1 << 16).to_bytes(8, "big") + bytes(8),
            b"\x89\x05Hello",
            b"\x88\x02\x03\xe8",
            b"\xf3\xff" + bytes([255] * 12),
        ],
    }
    for i, pair in enumerate(rates):
        tail = CUTS[(i + i // 3) % 3] + samples[: 300 + 90 * i]
        found["resampler"].append(pair + bytes([i % 3, i % 5, i]) + tail)
        found["converter"].append(bytes([i % 3, i // 3 % 3]) + pair + bytes([i % 3, i % 5]) + tail)
        found["line"].append(pair + bytes([i % 5, i % 6, i % 3, 128 * (i % 2) + 4]) + samples[: 300 + 90 * i])
    many_phases = rate_byte(16_000) + rate_byte(44_100)
    found["resampler"].append(many_phases + bytes([1, 1, 3]) + bytes([200] * 8) + samples)
    found["converter"].append(b"\2\2" + many_phases + bytes([1, 1]) + CUTS[0] + samples)
    return found


def conversations(folder: str) -> dict[str, list[dict[str, object]]]:
    """Return the entries of every recorded conversation by its name."""
    files = sorted((DATA / folder).glob("*.jsonl"))
    return {file.stem: [json.loads(line) for line in file.read_text().splitlines()] for file in files}


def parsers() -> dict[str, list[bytes]]:
    """Return what each parser of text starts from."""
    vapi = {file.name: file.read_bytes() for file in sorted((DATA / "vapi").glob("*.json"))}
    events = [compact(content) for name, content in vapi.items() if name.startswith("ws.")]
    other = ("ws.", "control.", "response.", "rest.", "transcriber.", "listen.")
    webhooks = [compact(content) for name, content in vapi.items() if not name.startswith(other)]
    controls = [compact(content) for name, content in vapi.items() if name.startswith("control.")]
    heard = [compact(vapi[name]) for name in vapi if name.startswith(("listen.", "transcriber."))]
    created = compact(vapi["rest.create-call.response.json"])
    sockets, requests, heads = [], [], []
    for folder in ("twilio", "vonage"):
        for entries in conversations(folder).values():
            texts = [str(entry["wire"]).encode() for entry in entries if entry["kind"] == "text"]
            sockets.append(b"\0".join(different(texts)))
            requests += [request(entry) for entry in entries if entry["kind"] == "http" and "url" in entry]
            heads += [head(entry) for entry in entries if entry["kind"] == "ws-open"]
    sockets.append(b'{"type":"dtmf","digit":"5"}\0{"type":"hangup"}\0{"type":"end-call"}')
    return {
        "vapi_event": events,
        "vapi_webhook": sorted(webhooks, key=len)[::3] + controls,
        "vapi_answer": [
            b"\0" + created,
            b"\0[" + created + b"]",
            b'\3{"message":["too many"],"statusCode":429}',
        ],
        "listen": [*heard, b"\0".join([*heard, events[-1], b"odd"])],
        "provider_socket": sockets,
        "provider_webhook": list(dict.fromkeys(requests)),
        "answer": [b"name\0value", b"a<&>\"'\0\xc3\xa9\n]]>", b"call_id\0\xef\xbf\xbe"],
        "http_head": [*heads, b"POST /vapi/webhook HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}"],
    }


def compact(content: bytes) -> bytes:
    return json.dumps(json.loads(content), separators=(",", ":"), ensure_ascii=False).encode()


def different(texts: list[bytes]) -> list[bytes]:
    """Return the first of each event, without those that carry audio."""
    kinds = {json.loads(one).get("event"): one for one in reversed(texts) if b"payload" not in one}
    return list(reversed(kinds.values()))


def request(entry: dict[str, Any]) -> bytes:
    """Return a webhook as ``parsers.provider_webhook`` takes it apart."""
    path = "/" + entry["url"].split("/", 3)[3]
    headers = "\n".join(f"{name}: {value}" for name, value in entry.get("headers", {}).items())
    body = entry["wire"] if "wire" in entry else urlencode(entry.get("form", {}))
    return "\0".join((path, headers, body)).encode()


def head(entry: dict[str, Any]) -> bytes:
    """Return an upgrade as it stands on the wire."""
    path = "/" + entry["url"].split("/", 3)[3]
    headers = {"Host": "bridge.example.com", "Upgrade": "websocket", "Connection": "Upgrade"}
    headers |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    lines = [f"{name}: {value}" for name, value in (headers | entry["headers"]).items()]
    return "\r\n".join((f"GET {path} HTTP/1.1", *lines, "", "")).encode()


def main() -> None:
    for target, contents in (kernels() | parsers()).items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("seed-*"):
            old.unlink()
        for i, content in enumerate(contents):
            (folder / f"seed-{i:02}").write_bytes(content)


if __name__ == "__main__":
    main()
