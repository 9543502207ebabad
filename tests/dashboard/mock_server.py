#!/usr/bin/env python3
"""Serves the dashboard with a host that is made up: the same actors, links and events for the same seed."""

import argparse
import http.server
import json
import pathlib
import queue
import random
import threading
import time

ASSETS = pathlib.Path(__file__).resolve().parents[2] / "crates/telemetry/src/dashboard"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
SECOND = 1000

# Names that a signer may choose to mislead the viewer, or to run a script.
HOSTILE = [
    "<img src=x onerror=\"window.hostile='img'\">",
    "<script>window.hostile='script'</script>",
    "\"><svg/onload=window.hostile='svg'>",
    "invoice\u202egnp.exe",
    "echo\u200b\u2066\u00ad",
    "\x1b[31mred\x07\x00\r\nsecond line",
    "L" * 10_240,
    "\u202e" * 3_000,
    "z" + "\u0301\u0316\u0334" * 200,
    "   ",
    "",
    "\ud800 alone",
    "__proto__",
    "javascript:window.hostile='url'",
]
WORDS = [
    "order",
    "cart",
    "price",
    "invoice",
    "mail",
    "search",
    "image",
    "login",
    "report",
    "stock",
    "route",
    "audit",
    "feed",
    "quote",
]
ROLES = ["api", "worker", "gateway", "cache", "indexer", "webhook", "sync", "export"]
CONTRACTS = [
    ("wasmcloud:httpserver", "HTTP server", "in_process"),
    ("wasmcloud:keyvalue", "Key-value store (redis)", "in_process"),
    ("wasmcloud:messaging", "Messages (NATS)", "in_process"),
    ("wasmcloud:blobstore", "Blobs (S3)", "process"),
    ("wasmcloud:logging", "Logging", "in_process"),
    ("wasmcloud:extras", "Random numbers and ids", "in_process"),
    ("acme:ledger", "Ledger of ACME", "process"),
]
TRAP = "the guest trapped: integer divide by zero, in ledger::post (function 412), called by ledger::apply (function 398)"


def now():
    return int(time.time() * SECOND)


class World:
    """What the host runs. Figures move by the same seed."""

    def __init__(self, seed=1, actors=1000, changed=0.4, hostile=True, compact=False):
        self.random = random.Random(seed)
        # Deltas hold only the fields that have changed, and of rates only the newest.
        self.compact = compact
        self.changed = changed
        self.started_at = now() - 3 * 3600 * SECOND - 8 * 60 * SECOND
        self.sequence = 0
        self.hosts = self.make_hosts()
        self.providers = [self.make_provider(*contract) for contract in CONTRACTS]
        names = list(HOSTILE) if hostile else []
        self.actors = [self.make_actor(names.pop() if names and at % 7 == 3 else self.name(), at) for at in range(actors)]
        self.links = self.make_links()
        self.calls = [self.random.randint(4200, 5200) for _ in range(60)]
        self.events = []
        self.make_trouble()
        self.make_past()

    def key(self, prefix):
        return prefix + "".join(self.random.choice(BASE32) for _ in range(55))

    def name(self):
        return f"{self.random.choice(WORDS)}-{self.random.choice(ROLES)}"

    def make_hosts(self):
        hosts = []
        for at in range(5):
            hosts.append(
                {
                    "id": self.key("N"),
                    "is_self": at == 0,
                    "state": "up",
                    "era": at == 4,
                    "version": "0.19.0" if at == 4 else "0.20.0",
                    "uptime_s": 11_280 + at * 3_600,
                    "heard_at": now(),
                    "round_trip_us": None if at == 0 else 400 + at * 310,
                    "cordoned": at == 3,
                    "labels": {"hostcore.os": "linux", "zone": f"eu-{at % 2 + 1}"},
                    "actors": 1000 if at == 0 else 120 * at,
                    "providers": 7 if at == 0 else at,
                }
            )
        return hosts

    def make_provider(self, contract, name, isolation):
        key = self.key("V")
        return {
            "key": f"{key}/default",
            "id": key,
            "link_name": "default",
            "contract_id": contract,
            "name": name,
            "vendor": "wasmCloud",
            "image_ref": None,
            "isolation": isolation,
            "state": "running",
            "reason": None,
            "since": self.started_at,
            "health": "healthy",
            "health_at": now() - 9 * SECOND,
            "restarts": 0,
            "calls": self.random.randint(100_000, 9_000_000),
            "errors": self.random.randint(0, 40),
            "rate": [self.random.randint(200, 900) for _ in range(60)],
            "p50_us": self.random.randint(30, 900),
            "p99_us": self.random.randint(1_000, 24_000),
            "measured_at": now(),
        }

    def make_actor(self, name, at):
        busy = self.random.random() < self.changed
        top = self.random.choice([2, 4, 8, 30, 120]) if busy else 0
        instances = self.random.choice([1, 1, 1, 2, 2, 4])
        return {
            "id": self.key("M"),
            "name": name,
            "alias": name if at % 9 == 0 else None,
            "revision": self.random.randint(1, 12),
            "version": f"0.{self.random.randint(1, 9)}.{self.random.randint(0, 9)}",
            "issuer": self.key("A"),
            "image_ref": f"registry.example/{name}:0.2.0" if at % 3 == 0 and name.isascii() else None,
            "capabilities": ["wasmcloud:httpserver", "wasmcloud:keyvalue"],
            "tags": ["shop"] if at % 2 else [],
            "expires_at": None,
            "trust": {"trusted": True, "reason": None},
            "state": "running",
            "reason": None,
            "since": self.started_at + at * 10,
            "health": "healthy",
            "health_at": now() - self.random.randint(0, 29) * SECOND,
            "instances": instances,
            "instances_running": instances,
            "restarts": 0,
            "crashes": 0,
            "memory_bytes": instances * self.random.randint(1, 24) * 131_072,
            "mailbox": 0,
            "in_flight": 0,
            "calls": self.random.randint(0, 400_000),
            "errors": self.random.choice([0, 0, 0, 0, 1, 3]),
            "rate": [self.random.randint(top // 2, top) for _ in range(60)],
            "top": top,
            "p50_us": self.random.randint(60, 900) if busy else None,
            "p99_us": self.random.randint(900, 30_000) if busy else None,
            "measured_at": now(),
        }

    def make_links(self):
        kinds = [(0,), (0, 1), (0, 1, 4), (1, 2), (2, 4), (0, 3), (5,), (1,), ()]
        weights = [12, 26, 14, 12, 9, 6, 5, 10, 6]
        links = []
        for actor in self.actors:
            for at in self.random.choices(kinds, weights)[0]:
                links.append(self.make_link(actor, self.providers[at]))
        return links

    def make_link(self, actor, provider, state="established", reason=None, age_s=11_000):
        contract = provider["contract_id"]
        return {
            "key": f"{actor['id']}/{contract}/{provider['link_name']}",
            "actor": actor["id"],
            "provider": provider["id"],
            "contract_id": contract,
            "link_name": provider["link_name"],
            "state": state,
            "reason": reason,
            "since": now() - age_s * SECOND,
            "values": ["URL", "PASSWORD"],
        }

    def make_trouble(self):
        ledger, cart, mail, image, search = self.actors[:5]
        ledger.update(
            name="ledger",
            alias="ledger",
            state="failed",
            reason="it crashed 100 times in a row",
            since=now() - 126 * SECOND,
            restarts=99,
            crashes=100,
            instances=2,
            instances_running=0,
            health="unhealthy",
            rate=[40] * 20 + [0] * 40,
            top=0,
            errors=12_345,
        )
        cart.update(
            name="cart-api",
            state="restarting",
            reason="the guest exceeded its deadline while computing",
            since=now() - 2 * SECOND,
            restarts=7,
            crashes=8,
        )
        mail.update(
            name="mail-worker",
            trust={"trusted": False, "reason": "its issuer is not among the accounts that the trust policy accepts"},
        )
        image.update(name="image-export", expires_at=now() + 3 * 86_400 * SECOND)
        search.update(name="search-indexer", instances=4, instances_running=3, top=30)
        self.providers[3].update(
            health="unhealthy", reason="S3 does not answer: connection refused (10.0.3.7:9000)", health_at=now() - 11 * SECOND
        )
        refused = "the provider refused the link: URL is missing among its values"
        trouble = [(ledger, self.providers[6], "refused", "the provider answered: account 'ledger' is locked <b>now</b>")]
        trouble += [(actor, self.providers[6], "refused", refused) for actor in self.actors[40:46]]
        absent = dict(self.providers[1], id=self.key("V"), contract_id="wasmcloud:sqldb")
        trouble += [(actor, absent, "pending", None) for actor in self.actors[60:63]]
        for actor, provider, state, reason in trouble:
            self.links.append(self.make_link(actor, provider, state, reason, age_s=130))

    def event(self, at, kind, severity, entity, name, text, detail=None, host=None):
        self.sequence += 1
        event = {
            "sequence": self.sequence,
            "at": at,
            "host": host or self.hosts[0]["id"],
            "kind": kind,
            "severity": severity,
            "entity": entity,
            "name": name,
            "text": text,
            "detail": detail or {},
        }
        self.events.append(event)
        del self.events[:-500]
        return event

    def make_past(self):
        self.event(self.started_at, "host_started", "info", None, None, "the host has started")
        for actor in self.actors[5:300]:
            self.event(
                actor["since"],
                "started",
                "info",
                actor["id"],
                actor["name"],
                "started with " + str(actor["instances"]) + " instances",
            )
        ledger = self.actors[0]
        about = (ledger["id"], ledger["name"])
        self.event(self.started_at + 400, "started", "info", *about, "started with 2 instances")
        self.event(now() - 180 * SECOND, "updated", "info", *about, "runs revision 4, before 3", {"from": 3, "to": 4})
        self.event(
            now() - 130 * SECOND,
            "link_refused",
            "warning",
            *about,
            "its link to acme:ledger (default) was refused",
            {
                "contract_id": "acme:ledger",
                "link_name": "default",
                "reason": "the provider answered: account 'ledger' is locked <b>now</b>",
            },
        )
        start = now() - 128 * SECOND
        for at in range(60):
            self.event(start + at * 33, "crashed", "error", *about, f"an instance crashed: {TRAP}", {"cause": TRAP})
            if at < 59:
                self.event(
                    start + at * 33 + 12,
                    "restarted",
                    "warning",
                    *about,
                    "an instance was restarted",
                    {"attempt": at + 1, "delay_ms": min(100, 2**at)},
                )
        self.event(
            start + 60 * 33,
            "failed",
            "error",
            *about,
            "it crashed 100 times in a row, and is not restarted any more",
            {"reason": "in_a_row"},
        )
        hostile = [actor for actor in self.actors if actor["name"] in HOSTILE]
        for actor in hostile:
            self.event(
                now() - 60 * SECOND,
                "limit_breached",
                "warning",
                actor["id"],
                actor["name"],
                f"a message of {actor['name'][:300]} is too large",
                {"limit": "MessageTooLarge"},
            )

    def snapshot(self):
        return {
            "at": now(),
            "host": self.host(),
            "hosts": self.hosts,
            "actors": self.actors,
            "providers": self.providers,
            "links": self.links,
            "events": self.events,
        }

    def host(self):
        return {
            "id": self.hosts[0]["id"],
            "version": "0.20.0",
            "started_at": self.started_at,
            "labels": self.hosts[0]["labels"],
            "cordoned": False,
            "draining": False,
            "shards": 2,
            "calls_per_second": self.calls,
            "latency_us": {"p50": 184, "p99": 9_400 + self.random.randint(-300, 300)},
            "memory_bytes": 742_391_808 + self.random.randint(0, 4_000_000),
            "lattice": {"namespace": "default", "state": "joined", "since": self.started_at + 700},
        }

    def delta(self):
        """Moves the figures on by a second, and returns what has changed."""
        at = now()
        self.calls = self.calls[1:] + [self.random.randint(4200, 5200)]
        changed = []
        for actor in self.actors:
            if actor["top"] == 0 and not any(actor["rate"]):
                continue
            calls = self.random.randint(actor["top"] // 2, actor["top"])
            actor.update(
                rate=actor["rate"][1:] + [calls],
                calls=actor["calls"] + calls,
                measured_at=at,
                mailbox=self.random.choice([0, 0, 0, 1, 3]),
            )
            changed.append(actor)
        self.actors[4]["errors"] += 4
        for provider in self.providers:
            calls = self.random.randint(200, 900)
            provider.update(rate=provider["rate"][1:] + [calls], calls=provider["calls"] + calls, measured_at=at)
        for host in self.hosts:
            if host["state"] == "up":
                host.update(heard_at=at, uptime_s=host["uptime_s"] + 1)
        actors = [self.changed_fields(actor) for actor in changed] if self.compact else changed
        return {
            "at": at,
            "measured_at": at,
            "host": self.host(),
            "hosts": self.hosts,
            "actors": actors,
            "providers": self.providers,
            "removed": {"actors": [], "providers": [], "links": [], "hosts": []},
        }

    @staticmethod
    def changed_fields(actor):
        return {
            "id": actor["id"],
            "rate": actor["rate"][-1],
            **{name: actor[name] for name in ("calls", "errors", "mailbox", "p50_us", "p99_us", "measured_at")},
        }

    def ordinary_event(self):
        actor = self.random.choice(self.actors[100:])
        kind, text = self.random.choice(
            [("scaled", "runs 2 instances now"), ("updated", "runs revision 5, before 4"), ("health_changed", "is healthy again")]
        )
        return self.event(now(), kind, "info", actor["id"], actor["name"], text)


class Mock:
    """The server of a world, on a port of the loopback."""

    def __init__(self, world, port=0, token=None):
        self.world = world
        self.token = token
        self.lock = threading.Lock()
        self.streams = set()
        self.silent = False
        self.refusing = False
        self.opened = 0
        handler = type("Handler", (Handler,), {"mock": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.stopped = threading.Event()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        threading.Thread(target=self.tick, daemon=True).start()

    def tick(self):
        while not self.stopped.wait(1):
            with self.lock:
                delta = self.world.delta()
                event = self.world.ordinary_event() if self.world.random.random() < 0.5 else None
            self.send("delta", delta)
            if event:
                self.send("event", event)

    def send(self, kind, value):
        if self.silent or not self.streams:
            return
        text = f"event: {kind}\ndata: {json.dumps(value)}\n\n".encode()
        for stream in list(self.streams):
            stream.put(text)

    def change(self, change):
        """Changes the world, and sends what `change(world)` returns as a delta, with the time of now."""
        with self.lock:
            delta = dict(change(self.world), at=now())
        self.send("delta", delta)

    def emit(self, *arguments):
        """Sends an event about this moment."""
        with self.lock:
            event = self.world.event(now(), *arguments)
        self.send("event", event)

    def lose_host(self, at):
        """Lets another host of the lattice fall silent, as of ten seconds ago."""

        def lost(world):
            world.hosts[at].update(state="down", heard_at=now() - 10 * SECOND)
            return {"hosts": world.hosts}

        self.change(lost)
        self.emit("peer_down", "error", self.world.hosts[at]["id"], None, "it was silent for two heartbeats")

    def remove_host(self, at):
        """Takes another host off the list."""

        def removed(world):
            return {"removed": {"hosts": [world.hosts.pop(at)["id"]]}}

        self.change(removed)

    def leave_host(self, at):
        """Lets another host of the lattice say that it leaves."""

        def left(world):
            world.hosts[at].update(state="left")
            return {"hosts": world.hosts}

        self.change(left)
        self.emit("peer_left", "info", self.world.hosts[at]["id"], None, "the host has left the lattice")

    def refuse(self, refusing):
        """Ends all streams and answers 503 from now on, or serves again."""
        self.refusing = refusing
        for stream in list(self.streams):
            stream.put(None)

    def close(self):
        self.stopped.set()
        self.refuse(True)
        self.server.shutdown()
        self.server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    mock = None

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/api/"):
            return self.api(path)
        name = "index.html" if path == "/" else path.removeprefix("/dashboard/")
        file = ASSETS / name
        if "/" in name or not file.is_file():
            return self.answer(404, "text/plain", b"not found")
        return self.answer(200, TYPES[file.suffix], file.read_bytes())

    def api(self, path):
        mock = self.mock
        if mock.token is not None and self.headers.get("Authorization") != f"Bearer {mock.token}":
            return self.answer(401, "application/json", b'{"error":"a token is needed"}')
        if mock.refusing:
            return self.answer(503, "application/json", b'{"error":"the host is stopping"}')
        if path == "/api/v1/state":
            with mock.lock:
                body = json.dumps(mock.world.snapshot()).encode()
            return self.answer(200, "application/json", body)
        return self.stream() if path == "/api/v1/stream" else self.answer(404, "text/plain", b"not found")

    def answer(self, status, kind, body):
        self.send_response(status)
        self.headers_of(kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def headers_of(self, kind):
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")

    def stream(self):
        mock = self.mock
        mock.opened += 1
        self.send_response(200)
        self.headers_of("text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        mine = queue.Queue()
        with mock.lock:
            snapshot = json.dumps(mock.world.snapshot())
            mock.streams.add(mine)
        try:
            self.wfile.write(f"retry: 2000\nevent: snapshot\ndata: {snapshot}\n\n".encode())
            while (text := mine.get()) is not None:
                self.wfile.write(text)
        except OSError:
            pass
        finally:
            mock.streams.discard(mine)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9464, help="port on the loopback; default 9464")
    parser.add_argument("--seed", type=int, default=1, help="seed of what is made up; default 1")
    parser.add_argument("--actors", type=int, default=1000, help="number of actors, at least 100; default 1000")
    parser.add_argument("--token", help="token that requests must carry; default none")
    options = parser.parse_args()
    mock = Mock(World(options.seed, options.actors), options.port, options.token)
    print(mock.url, flush=True)
    try:
        mock.stopped.wait()
    except KeyboardInterrupt:
        mock.close()


if __name__ == "__main__":
    main()
