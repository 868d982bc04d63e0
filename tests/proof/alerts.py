"""alerts/alertmanager.yml as the proofs run it, and listeners that stand for Teams, a pager and a mail server."""

import email
import email.policy
import http.server
import json
import os
import re
import socketserver
import threading
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import Failure, get, request, running, wait

# Small systems have no time zones; the test tools bring some.
zoneinfo.reset_tzpath([*zoneinfo.TZPATH, f"{os.environ.get('TOOLS', '')}/apt/root/usr/share/zoneinfo"])

ALERTS = Path(__file__).resolve().parents[2] / "alerts"
RULES = sorted(ALERTS.glob("*.rules.yml"))
SECRETS = "/etc/alertmanager/secrets/"
SHADOW = re.compile(r"^ *# --- shadow: begin ---\n.*?^ *# --- shadow: end ---\n", re.MULTILINE | re.DOTALL)
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
DURATION = r"(?:\d+(?:ms|[smhdwy]))+"


def shipped() -> str:
    return (ALERTS / "alertmanager.yml").read_text(encoding="utf-8")


def live(config: str) -> str:
    """The configuration after the first two weeks: the shadow route is deleted."""
    return replaced(SHADOW, "", config)


def sleepless(config: str) -> str:
    """No night and no weekend, so that a proof may run at any hour."""
    return replaced(re.compile(r"^ *mute_time_intervals:.*\n", re.MULTILINE), "", config)


def hastened(config: str, factor: float) -> str:
    """All waits of the routes divided by a factor."""
    waits = re.compile(rf"^( *group_wait: | *group_interval: | *repeat_interval: )({DURATION})$", re.MULTILINE)
    return replaced(waits, lambda wait: wait[1] + divided(wait[2], factor), config)


def to_listeners(config: str, folder: Path, web: int, mail: int) -> str:
    """Secrets, templates and mail of a folder and of listeners on this machine."""
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    for name in re.findall(re.escape(SECRETS) + r"([\w.-]+)", config):
        address = f"http://127.0.0.1:{web}/{name.removesuffix('.url')}"
        (secrets / name).write_text(address if name.endswith(".url") else "a token", encoding="utf-8")
    config = config.replace(SECRETS, f"{secrets}/")
    config = replaced(re.compile(r"^  - templates/", re.MULTILINE), f"  - {ALERTS}/templates/", config)
    server = f"  smtp_smarthost: 127.0.0.1:{mail}\n  smtp_require_tls: false\n"
    return replaced(re.compile(r"^  smtp_smarthost:.*\n", re.MULTILINE), server, config)


def replaced(what: re.Pattern[str], by: Any, text: str) -> str:
    """As `re.sub`; what is not found any more has moved, and the proof with it."""
    text, times = what.subn(by, text)
    if times == 0:
        raise Failure(f"alertmanager.yml has nothing like {what.pattern!r} any more")
    return text


def seconds(duration: str) -> float:
    return sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def divided(duration: str, factor: float) -> str:
    """In whole milliseconds, the finest that Prometheus and Alertmanager know."""
    return f"{max(1, round(seconds(duration) / factor * 1000))}ms"


def hasten_rules(folder: Path, factor: float) -> None:
    """Our rules, into a folder of their own."""
    folder.mkdir()
    for file in RULES:
        (folder / file.name).write_text(hastened_rules(file.read_text(encoding="utf-8"), factor), encoding="utf-8")


def hastened_rules(text: str, factor: float) -> str:
    """Every wait, range and offset of the rules divided by the factor."""
    d = DURATION
    text = re.sub(
        rf"^(\s*(?:for|keep_firing_for|interval): *)({d})$", lambda m: m[1] + divided(m[2], factor), text, flags=re.M
    )
    text = re.sub(
        rf"\[({d})(:?)((?:{d})?)\]", lambda m: f"[{divided(m[1], factor)}{m[2]}{m[3] and divided(m[3], factor)}]", text
    )
    return re.sub(rf"(\boffset )({d})\b", lambda m: m[1] + divided(m[2], factor), text)


# --- Who listens ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """What a person gets, or a pager."""

    to: str
    title: str
    text: str
    alerts: tuple[str, ...] = ()
    # The other part of a mail.
    html: str = ""

    def __str__(self) -> str:
        return f"to {self.to}: {self.title}\n" + "".join(f"    {line}\n" for line in self.text.splitlines() if line)


class Inbox:
    """All messages that came, from whichever way."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.received: list[Message] = []

    def add(self, message: Message) -> None:
        with self.lock:
            self.received.append(message)

    def messages(self, since: int = 0) -> list[Message]:
        with self.lock:
            return self.received[since:]


@contextmanager
def listening(inbox: Inbox) -> Iterator[tuple[int, int]]:
    """An HTTP server for Teams and webhooks, and a mail server; gives their ports."""

    class Web(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            inbox.add(read(self.path.strip("/"), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            inbox.add(receive_mail(self.rfile, self.wfile))

    servers = [
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web),
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield servers[0].server_address[1], servers[1].server_address[1]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def read(to: str, body: dict[str, Any]) -> Message:
    """A card as Teams shows it (two blocks of text), or the JSON of Alertmanager."""
    if "attachments" in body:
        title, text = (block["text"] for block in body["attachments"][0]["content"]["body"])
        return Message(to, title, text)
    alerts = tuple(sorted(alert["labels"]["alertname"] for alert in body["alerts"]))
    return Message(to, f"{body['status']}: {body['groupLabels']}", "", alerts)


def receive_mail(lines: Any, answer: Any) -> Message:
    """As little of SMTP as one mail needs."""
    answer.write(b"220 ready\r\n")
    to, body = "", b""
    while line := lines.readline():
        verb = line[:4].upper()
        if verb == b"RCPT":
            to = line.decode().split("<")[1].split(">")[0]
        if verb == b"DATA":
            answer.write(b"354 go on\r\n")
            while (line := lines.readline()) not in (b".\r\n", b""):
                body += line.removeprefix(b".")
        if verb == b"QUIT":
            answer.write(b"221 bye\r\n")
            break
        answer.write(b"250 yes\r\n")
    mail = email.message_from_bytes(body, policy=email.policy.default)
    plain, html = (mail.get_body(preferencelist=(kind,)) for kind in ("plain", "html"))
    text, html_text = (part.get_content() if part else "" for part in (plain, html))
    return Message(to, str(mail["Subject"]), text, html=html_text)


# --- Alertmanager -----------------------------------------------------------------------------


@contextmanager
def alertmanager(config: str, port: int, folder: Path) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    file = folder / "alertmanager.yml"
    file.write_text(config, encoding="utf-8")
    command = [
        "alertmanager",
        f"--config.file={file}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.external-url=http://alertmanager.example.com",
        "--web.route-prefix=/",
        "--cluster.listen-address=",
    ]
    with running(command, folder / "alertmanager.log") as child:
        wait("Alertmanager to be ready", child, lambda: get(port, "/-/ready")[0] == 200)
        yield


def post(port: int, alerts: list[dict[str, Any]]) -> None:
    headers = {"Content-Type": "application/json"}
    status, _, content = request("POST", port, "/api/v2/alerts", json.dumps(alerts).encode(), headers)
    if status != 200:
        raise Failure(f"Alertmanager refused alerts with status {status}: {content.decode()}")


def held(port: int) -> list[dict[str, Any]]:
    """All alerts that Alertmanager holds, with what inhibits them."""
    return answer(port, "/api/v2/alerts")


def groups(port: int) -> list[dict[str, Any]]:
    """All groups of alerts. Only here it is told what a time interval mutes."""
    return answer(port, "/api/v2/alerts/groups")


def answer(port: int, path: str) -> list[dict[str, Any]]:
    status, _, content = get(port, path)
    if status != 200:
        raise Failure(f"Alertmanager answered {path} with status {status}: {content.decode()}")
    return list(json.loads(content))
