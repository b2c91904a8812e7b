"""A WebSocket upgrade on a connection that has carried an HTTP request is impossible: every HTTP answer closes its
connection. So a proxy that keeps connections to us opens a new one for the upgrade."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from fault_scene import faulty
from faulty_call import live_call
from scene import ACCOUNT, PUBLIC_URL, Scene, call_sid, stream_url
from twilio.request_validator import RequestValidator
from wire import connected, on_both_loops, upgrade_request

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  map $http_upgrade $wanted {{ default upgrade; '' ''; }}
  upstream bridge {{ server 127.0.0.1:{port}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{front};
    location / {{
      proxy_pass http://bridge; proxy_http_version 1.1; proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $wanted;
    }}
  }}
}}
"""


VOICE = {"AccountSid": ACCOUNT, "CallSid": call_sid(2), "CallStatus": "ringing", "Direction": "inbound"}


def signature(scene: Scene, url: str, fields: dict[str, str]) -> str:
    return str(RequestValidator(scene.auth_token).compute_signature(url, fields))


def request(scene: Scene, method: str, path: str) -> bytes:
    """A request that wants its connection kept."""
    body = urlencode(VOICE).encode() if path == "/twilio/voice" else b"{}"
    head = f"{method} {path} HTTP/1.1\r\nHost: bridge.test\r\nConnection: keep-alive\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\n" if path == "/twilio/voice" else ""
    head += f"X-Twilio-Signature: {signature(scene, PUBLIC_URL + path, VOICE)}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


REQUESTS = [
    ("POST", "/twilio/voice", 200),
    ("POST", "/twilio/status", 403),
    ("POST", "/vapi/webhook", 403),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("GET", "/nowhere", 404),
    ("PUT", "/twilio/voice", 405),
]


@pytest.mark.parametrize("is_pipelined", [False, True], ids=["after", "at once"])
@on_both_loops
async def test_no_upgrade_is_taken_on_a_connection_that_carried_a_request(is_pipelined: bool) -> None:
    async with faulty() as scene:
        url = stream_url(await scene.voice(1))
        upgrade = upgrade_request(urlsplit(url).path, {"X-Twilio-Signature": signature(scene, url, {})})
        for method, path, status in REQUESTS:
            async with connected(scene.bridge.port) as wire:
                wire.send(request(scene, method, path) + (upgrade if is_pipelined else b""))
                answer = await wire.answer()
                assert (answer.status, answer.closes) == (status, True), path
                assert b"101 Switching" not in answer.body
                wire.send(upgrade)
                assert await wire.rest() == b""
        async with scene.socket(url):  # the token was not spent
            pass


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
async def test_a_call_comes_through_nginx_that_keeps_its_connections(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with faulty() as scene:
        settings = tmp_path / "nginx.conf"
        settings.write_text(NGINX.format(folder=tmp_path, port=scene.bridge.port, front=unused_tcp_port))
        nginx = await asyncio.create_subprocess_exec(
            *("nginx", "-p", str(tmp_path), "-c", str(settings), "-e", str(tmp_path / "error.log"))
        )
        behind, scene.bridge.port = scene.bridge.port, unused_tcp_port
        try:
            await _reachable(unused_tcp_port)
            for number in range(1, 4):  # the POST's connection must not be taken for the upgrade
                async with live_call(scene, number) as (phone, leg):
                    await leg.socket.send_bytes(b"\x20" * 1600)
                    await phone.read_event("media")
                    phone.close(1000)
                    await phone.close_code()
        finally:
            scene.bridge.port = behind
            nginx.terminate()
            await nginx.wait()


async def _reachable(port: int) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                async with connected(port):
                    return
            except OSError:
                await asyncio.sleep(0.02)
