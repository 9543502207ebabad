"""Tests of the dashboard against real hosts, which the binary runs."""

import contextlib
import http.client
import json
import threading
import time

from mock_server import HOSTILE
from real_host import Workshop

DRAWN = "document.documentElement.dataset.drawn === 'true'"
SIZES = {"laptop": (1440, 900), "phone": (360, 740)}
TOKEN = "ahT7ohKoo0ohsh4u"
# Names that the command line can carry.
NAMES = [name for name in HOSTILE if "\0" not in name and "\ud800" not in name and len(name) < 4_000 and name.strip()]
TRAFFIC_PORTS = 12


@contextlib.contextmanager
def page(check, url, size="laptop", dark=False, token=False, silent=False):
    """Opens the dashboard of a real host. At the end, nothing may have been violated, thrown or logged."""
    width, height = SIZES[size]
    page = check.browser.open(url, width, height, dark, mobile=size == "phone")
    try:
        if not token:
            page.wait(DRAWN, "the first figures")
        yield page
        complaints = [text for text in page.complaints if not (silent and text.startswith("network:"))]
        if complaints:
            raise AssertionError(f"violations, errors and warnings: {complaints}")
        if page.run("window.hostile ?? null") is not None or page.dialogs:
            raise AssertionError("a hostile name has run")
    finally:
        page.close()


def free_ports(count):
    import socket

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Traffic:
    """Calls actors over HTTP until it is stopped."""

    def __init__(self, ports):
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.call, args=(port, 0.02 * (at + 1)), daemon=True) for at, port in enumerate(ports)]
        for thread in self.threads:
            thread.start()

    def call(self, port, pause):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while not self.stopped.wait(pause):
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/orders")
                connection.getresponse().read()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


@contextlib.contextmanager
def busy_host(check, actors=1000):
    """A host with many actors: some work, one has failed, one has a link that is refused, and some have hostile names."""
    shop = Workshop(check.host)
    traffic = None
    try:
        ports = free_ports(TRAFFIC_PORTS + 1)
        names = [f"order-worker-{at}" for at in range(actors - TRAFFIC_PORTS - len(NAMES) - 1)]
        files, _ = shop.sign_many("tiny_echo", names + NAMES)
        working, working_keys = shop.sign_many("echo", [f"shop-api-{at}" for at in range(TRAFFIC_PORTS)])
        trap, trap_key = shop.sign("trap", "ledger")
        link = "  - {{actor: {}, contract_id: '{}', provider_id: 'builtin:{}', values: {{{}}}}}\n"
        links = "".join(link.format(key, "wasmcloud:httpserver", "httpserver", f"PORT: {port}") for key, port in zip(working_keys, ports))
        links += link.format(trap_key, "wasmcloud:httpserver", "httpserver", f"PORT: {ports[-1]}")
        text = f"name: shop\nactors:\n{''.join(f'  - {file}{chr(10)}' for file in files + working)}"
        text += f"  - {{image_ref: {trap}, restart: {{intensity: 3, period: 1m}}}}\n"
        text += "capabilities:\n  - image_ref: builtin:httpserver\n"
        shop.write("shop.yaml", text + "links:\n" + links)
        host = shop.host("shop.yaml", "--shards", "1")
        traffic = Traffic(ports[:TRAFFIC_PORTS])
        for _ in range(6):
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", ports[-1], timeout=20)
                connection.request("GET", "/post")
                connection.getresponse().read()
        yield host, trap_key
    finally:
        if traffic:
            traffic.stop()
        shop.close()


def test_real_thousand(check):
    """A real host with 1,000 actors, of which one has failed: contents, figures, pictures and names."""
    with busy_host(check) as (host, failed):
        begin = time.monotonic()
        size = len(host.get("/api/v1/state")[1])
        check.figures.append(f"state of 1,000 actors: {size / 1024:.0f} KiB in {(time.monotonic() - begin) * 1e3:.0f} ms")
        begin = time.monotonic()
        metrics = len(host.get("/metrics")[1])
        check.figures.append(f"metrics of 1,000 actors: {metrics / 1024:.0f} KiB in {(time.monotonic() - begin) * 1e3:.0f} ms")
        for dark in (False, True):
            with page(check, host.url, dark=dark) as one:
                theme = "dark" if dark else "light"
                if not dark:
                    paint = one.run("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1e3
                    rows = one.run("performance.getEntriesByName('drawn')[0].startTime") / 1e3
                    check.measured("real host, first paint", paint, 2.0, "s")
                    check.measured("real host, first rows of 1,000 actors", rows, 2.0, "s")
                one.wait("document.querySelector('#problems-list').innerText.includes('has failed')", "the failure")
                problems = one.text("#problems-list")
                for part in ("ledger", "crashed more often than 3 times", "unreachable", "Next:"):
                    if part not in problems:
                        raise AssertionError(f"the problems do not tell {part}: {problems}")
                one.wait("parseFloat(document.querySelector('.tile-calls .tile-value').innerText) > 0", "actors at work")
                check.picture(one, f"real-{theme}")
                one.click(".problem")
                one.wait(f"document.querySelector('#detail-body').innerText.includes('{failed}')", "the story of the failure")
                check.picture(one, f"real-{theme}-story")
                story = one.text("#detail")
                if "crashed" not in story:
                    raise AssertionError(f"the story does not tell the crash: {story}")
        hostile_names(check, host)


def measure_real_viewers(check):
    """Measures what viewers of a real host with 1,000 actors cost."""
    with busy_host(check) as (host, _):
        viewer_costs(check, host)


def hostile_names(check, host):
    with page(check, host.url) as one:
        one.run(
            "document.querySelector('#actors-search').value = 'hostile'; document.querySelector('#actors-search').dispatchEvent(new Event('input'))"
        )
        one.wait("document.querySelector('#actors-table').innerText.includes('<script>window.hostile')", "the name as text")
        text = one.run("document.body.textContent")
        if any(character in text for character in "\u202e\u2066\u200b\x1b\x07"):
            raise AssertionError("a control character is on the page")
        check.picture(one, "real-hostile")


def viewer_costs(check, host):
    """Measures what the first viewer and 50 viewers cost the host, and what a viewer costs the browser's machine."""
    seconds = 15

    def share(what):
        before, begin = host.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        used = (host.cpu_seconds() - before) / (time.monotonic() - begin) * 100
        check.figures.append(f"real host, {what}: {used:.2f} % of a core")
        return used

    share("no viewer, at work")
    viewers = [Viewer(host.url) for _ in range(50)]
    share("50 viewers")
    for viewer in viewers:
        viewer.close()
    with page(check, host.url):
        time.sleep(3)
        own, whole, begin = renderer(check), None, time.monotonic()
        time.sleep(seconds)
        used = (renderer(check) - own) / (time.monotonic() - begin) * 100
        check.measured("real host, viewer's page", used, 5.0, "% of a core")


def renderer(check):
    return sum(spent for (kind, _), spent in check.browser.processes().items() if kind == "renderer")


class Viewer:
    """A viewer without a browser, which reads and forgets."""

    def __init__(self, url):
        host = url.removeprefix("http://")
        self.connection = http.client.HTTPConnection(host, timeout=30)
        self.connection.request("GET", "/api/v1/stream")
        self.answer = self.connection.getresponse()
        self.read = 0
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self):
        with contextlib.suppress(Exception):
            while piece := self.answer.read1(1 << 20):
                self.read += len(piece)

    def close(self):
        with contextlib.suppress(OSError):
            self.connection.sock.shutdown(2)
        self.connection.close()


def test_real_vanished_host(check):
    """A real host that is killed while it is watched is shown as such; so is the watched host itself."""
    shop = Workshop(check.host)
    try:
        nats = shop.nats()
        lattice = ("--rpc-host", "127.0.0.1", "--rpc-port", str(nats), "--heartbeat-interval-s", "1")
        host, other = shop.host(*lattice), shop.host(*lattice)
        name = json.loads(other.get("/api/v1/state")[1])["host"]["id"][:12]
        with page(check, host.url, silent=True) as one:
            row = f"[...document.querySelectorAll('#hosts-table .grid-body .grid-row:not([hidden])')].find((row) => row.innerText.includes('{name}'))"
            one.wait(f"{row}?.innerText.includes('up')", "the other host")
            other.kill()
            one.wait(f"{row}?.innerText.includes('down')", "the host to be shown as down")
            one.wait("document.querySelector('#problems-list').innerText.includes('is not heard any more')", "the problem")
            one.run("document.querySelector('#hosts').scrollIntoView()")
            check.picture(one, "real-vanished")
            host.kill()
            one.wait("document.documentElement.dataset.stream === 'stale'", "the mark of a host that is gone")
            one.run("scrollTo(0, 0)")
            check.picture(one, "real-gone")
    finally:
        shop.close()


def test_real_token(check):
    """A real host with a token is shown after the right token, and not before."""
    shop = Workshop(check.host)
    try:
        host = shop.host(environment={"WASMCLOUD_TELEMETRY_TOKEN": TOKEN})
        if host.get("/metrics")[0] != 401 or host.get("/metrics", TOKEN)[0] != 200:
            raise AssertionError("the metrics do not need the token")
        with page(check, host.url, token=True, silent=True) as one:
            one.wait("document.querySelector('#token').open", "the question for the token")
            one.type("a wrong token here")
            one.press("Enter")
            one.wait("document.querySelector('#token-reason').innerText.includes('did not accept')", "the wrong token to be refused")
            one.type(TOKEN)
            one.press("Enter")
            one.wait(DRAWN, "the figures")
    finally:
        shop.close()


def test_real_changes(check):
    """What happens on a real host is on the page a moment later: a start, a refused link, a stop."""
    shop = Workshop(check.host)
    try:
        file, _ = shop.sign("echo", "first-actor")
        shop.write("one.yaml", f"name: one\nactors: [{file}]\n")
        host = shop.host("one.yaml", "--watch")
        with page(check, host.url) as one:
            one.wait("document.querySelector('#actors-table').innerText.includes('first-actor')", "the actor")
            second, key = shop.sign("echo", "second-actor")
            link = f"{{actor: {key}, contract_id: 'wasmcloud:keyvalue', provider_id: 'builtin:keyvalue', values: {{URL: 'redis://127.0.0.1:1'}}}}"
            text = f"name: one\nactors: [{file}, {second}]\ncapabilities: [{{image_ref: 'builtin:keyvalue'}}]\nlinks:\n  - {link}\n"
            shop.write("one.yaml", text)
            one.wait("document.querySelector('#actors-table').innerText.includes('second-actor')", "the actor that was started")
            one.wait("document.querySelector('#events-table').innerText.includes('started')", "the event")
            check.picture(one, "real-changes")
    finally:
        shop.close()
