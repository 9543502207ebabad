"""Starts real hosts by the binary: with actors that are signed here, a manifest, and a NATS server if they shall know each other."""

import contextlib
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUESTS = ROOT / "fixtures/guests"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PRIME = 2**255 - 19
CURVE = -121665 * pow(121666, -1, PRIME) % PRIME
MODULE_PREFIX = 12 << 3
# A guest that traps whatever it is asked: (module (memory (export "memory") 1)
#   (func (export "__guest_call") (param i32 i32) (result i32) unreachable))
TRAP = (
    b"\0asm\1\0\0\0\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\x00\x05\x03\x01\x00\x01"
    b"\x07\x19\x02\x06memory\x02\x00\x0c__guest_call\x00\x00\x0a\x05\x01\x03\x00\x00\x0b"
)
PATIENCE_S = 120


def public_key():
    """Returns the public key of an actor that nobody has the seed of: a point of the curve, as nkeys writes it."""
    while True:
        y = secrets.randbits(255)
        numerator, denominator = (y * y - 1) % PRIME, (CURVE * y * y + 1) % PRIME
        square = numerator * pow(denominator, -1, PRIME) % PRIME
        if y < PRIME and pow(square, (PRIME - 1) // 2, PRIME) == 1:
            break
    raw = bytes([MODULE_PREFIX]) + y.to_bytes(32, "little")
    checksum = 0
    for byte in raw:
        checksum ^= byte << 8
        for _ in range(8):
            checksum = (checksum << 1) ^ 0x1021 if checksum & 0x8000 else checksum << 1
    raw += (checksum & 0xFFFF).to_bytes(2, "little")
    number, bits, text = int.from_bytes(raw, "big"), len(raw) * 8, ""
    for at in range(bits - 5, -1, -5):
        text += BASE32[number >> at & 31]
    return text


class Workshop:
    """A folder with signed actors, and the hosts that run them. All ends with it."""

    def __init__(self, program):
        self.program = pathlib.Path(program).resolve()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dashboard-hosts-"))
        self.seed = self.folder / "account.seed"
        self.hosts = []
        self.servers = []
        self.trap = self.folder / "trap_unsigned.wasm"
        self.trap.write_bytes(TRAP)
        self.run("keys", "gen", "account", "--output", str(self.seed))

    def run(self, *arguments):
        done = subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode != 0:
            raise RuntimeError(f"wasmcloud {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def sign(self, guest, name, *more, key=None):
        """Signs a guest of the fixtures, or `trap`, and returns its file and its key."""
        key = key or public_key()
        file = f"{key[:16]}.wasm"
        self.run(
            "sign", str(self.trap if guest == "trap" else GUESTS / f"{guest}.wasm"), "--output", file, f"--name={name}", "--revision", "3", "--version", "0.3.1",
            "-c", "httpserver", "-c", "keyvalue", "--issuer-seed-file", str(self.seed), "--subject", key, *more,
        )  # fmt: skip
        return file, key

    def sign_many(self, guest, names):
        """Signs a guest once for each name, two at a time."""
        keys = [public_key() for _ in names]
        waiting = list(zip(names, keys))

        def work():
            with contextlib.suppress(IndexError):
                while True:
                    name, key = waiting.pop()
                    self.sign(guest, name, key=key)

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return [f"{key[:16]}.wasm" for key in keys], keys

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def host(self, *arguments, environment=None):
        """Starts a host, and waits until it is ready."""
        host = RealHost(self, arguments, environment or {})
        self.hosts.append(host)
        host.wait()
        return host

    def nats(self):
        """Starts a NATS server, and returns its port."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        store = self.folder / f"nats-{port}"
        program = shutil.which("nats-server")
        if program is None:
            raise FileNotFoundError("no nats-server is installed")
        configuration = self.folder / f"nats-{port}.conf"
        configuration.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{store}" }}\n')
        server = subprocess.Popen([program, "-c", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.servers.append(server)
        return port

    def close(self):
        for host in self.hosts:
            host.close()
        for server in self.servers:
            server.kill()
            server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class RealHost:
    """A host that runs."""

    def __init__(self, shop, arguments, environment):
        self.lines = []
        state = f"state-{len(shop.hosts)}"
        command = [shop.program, "run", "--telemetry", "127.0.0.1:0", "--state-folder", state, "--cache", "cache", *arguments]
        self.process = subprocess.Popen(
            command, cwd=shop.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={"HOME": str(shop.folder), "PATH": "/usr/bin:/bin", **environment},
        )  # fmt: skip
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    @property
    def url(self):
        for line in self.lines:
            found = re.search(r"the dashboard of host \w+ is at (http://\S+?)/?$", line.strip())
            if found:
                return found.group(1)
        return None

    def wait(self):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the host has ended: {''.join(self.lines)}")
            if self.url is not None and self.get("/readyz")[0] == 200:
                return
            time.sleep(0.1)
        raise TimeoutError(f"the host is not ready: {''.join(self.lines)}")

    def get(self, path, token=None):
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def cpu_seconds(self):
        """Returns the time of the processor that the host has used."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
