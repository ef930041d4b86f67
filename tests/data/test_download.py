"""The download against a real server: whole, broken off, resumed, stopped, wrong content, offline, disk full."""

from __future__ import annotations

import gzip
import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from fmnist_core.data import download
from fmnist_core.data.dataset import FILES
from fmnist_core.data.download import Downloader, DownloadError, Stopped
from fmnist_core.data.idx import Expected

CONTENT = {name: np.random.default_rng(place).bytes(300_000) for place, name in enumerate(FILES.values())}
PACKED = {f"/{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}
FIRST = "train-images-idx3-ubyte.gz"


class Server(ThreadingHTTPServer):
    """What to answer, and what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(PACKED)
        self.break_after: int | None = None  # bytes of an answer after which the connection breaks
        self.hang = threading.Event()  # while set, answers stand still after their first half
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append((self.path, wanted))
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self._send(content[start:])

    def _send(self, body: bytes) -> None:
        if self.server.break_after is not None:
            self.wfile.write(body[: self.server.break_after])
            return
        self.wfile.write(body[: len(body) // 2])
        while self.server.hang.is_set():
            time.sleep(0.01)
        self.wfile.write(body[len(body) // 2 :])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    expected = {key: Expected(len(CONTENT[f]), hashlib.sha256(CONTENT[f]).hexdigest()) for key, f in FILES.items()}
    monkeypatch.setattr(download, "FULL", expected)
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.hang.clear()
    server.shutdown()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "datasets" / "fashion-mnist"


def fetch(target: Path, server: Server) -> list[float]:
    shares: list[float] = []
    download.fetch(target, server.address, lambda share, text: shares.append(share), lambda: False)
    return shares


def assert_whole(target: Path) -> None:
    assert {path.name: gzip.decompress(path.read_bytes()) for path in target.iterdir()} == {
        f"{name}.gz": content for name, content in CONTENT.items()
    }
    assert not target.with_name(f"{target.name}.part").exists()


def test_all_files_arrive_and_progress_rises(server: Server, target: Path) -> None:
    shares = fetch(target, server)
    assert_whole(target)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_goes_on_where_the_connection_broke(server: Server, target: Path) -> None:
    server.break_after = 100_000
    with pytest.raises(DownloadError, match=r"broke after 0.1 of 0.3 MB"):
        fetch(target, server)
    assert not target.exists()
    server.break_after = None
    server.asked.clear()
    fetch(target, server)
    assert server.asked[0] == (f"/{FIRST}", "bytes=100000-")
    assert [asked[1] for asked in server.asked[1:]] == [None] * 3
    assert_whole(target)


def test_files_that_are_whole_are_not_fetched_again(server: Server, target: Path) -> None:
    missing = server.files.pop("/t10k-images-idx3-ubyte.gz")
    with pytest.raises(DownloadError, match=r"t10k-images-idx3-ubyte.gz cannot be fetched: the server answered 404"):
        fetch(target, server)
    server.files["/t10k-images-idx3-ubyte.gz"] = missing
    server.asked.clear()
    fetch(target, server)
    assert [path for path, _ in server.asked] == ["/t10k-images-idx3-ubyte.gz", "/t10k-labels-idx1-ubyte.gz"]
    assert_whole(target)


def test_server_without_ranges_starts_over(server: Server, target: Path) -> None:
    server.break_after = 100_000
    with pytest.raises(DownloadError):
        fetch(target, server)
    server.break_after, server.ranges = None, False
    fetch(target, server)
    assert_whole(target)


def test_part_that_is_whole_already_is_used(server: Server, target: Path) -> None:
    staging = target.with_name("fashion-mnist.part")
    staging.mkdir(parents=True)
    (staging / f"{FIRST}.part").write_bytes(PACKED[f"/{FIRST}"])
    fetch(target, server)
    assert_whole(target)


@pytest.mark.parametrize(
    "wrong",
    [
        gzip.compress(b"other"),
        gzip.compress(bytes(10_000_000)),
        b"<html>log in to this network</html>",
        PACKED[f"/{FIRST}"][:-9],
        bytes(5_000_000),
    ],
    ids=["other content", "unpacks to more", "not gzip", "cut off", "endless"],
)
def test_wrong_content_is_thrown_away(server: Server, target: Path, wrong: bytes) -> None:
    server.files[f"/{FIRST}"] = wrong
    with pytest.raises(DownloadError, match=r"SHA-256 differs.*FMNIST_MIRROR"):
        fetch(target, server)
    assert not target.exists()
    server.files = dict(PACKED)
    fetch(target, server)
    assert_whole(target)


def test_damaged_folder_is_mended(server: Server, target: Path) -> None:
    target.mkdir(parents=True)
    (target / FIRST).write_bytes(b"damaged")
    fetch(target, server)
    assert_whole(target)


def test_offline_is_one_sentence(target: Path) -> None:
    for address in ("http://127.0.0.1:1", "http://no-such-host.invalid", "nonsense"):
        with pytest.raises(DownloadError, match=r"cannot be reached .*; check the internet connection.*\.$"):
            download.fetch(target, address, lambda share, text: None, lambda: False)


def test_full_disk_is_one_sentence(server: Server, target: Path) -> None:
    staging = target.with_name("fashion-mnist.part")
    staging.mkdir(parents=True)
    (staging / f"{FIRST}.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"The disk that holds .*datasets is full; about 100 MB are needed"):
        fetch(target, server)


def test_unwritable_place_is_one_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match=r"cannot be written .*KERAS_HOME"):
        fetch(tmp_path / "file" / "fashion-mnist", server)


def test_stop_is_noticed_at_the_next_chunk(server: Server, target: Path) -> None:
    shares: list[float] = []
    with pytest.raises(Stopped):
        download.fetch(target, server.address, lambda share, text: shares.append(share), lambda: len(shares) > 1)
    assert not target.exists()


# --- In its thread --------------------------------------------------------------------------------------------------


def wait_for(downloader: Downloader, state: str) -> None:
    until = time.monotonic() + 20
    while downloader.status.state != state:
        assert time.monotonic() < until, downloader.status
        time.sleep(0.01)


def test_downloader_runs_once_stops_and_goes_on(server: Server, target: Path) -> None:
    downloader = Downloader()
    state = downloader.status.state
    assert state == "idle"
    server.hang.set()
    downloader.start(target, server.address)
    downloader.start(target, server.address)
    while not downloader.status.fraction:
        time.sleep(0.01)
    downloader.stop()
    assert downloader.status.state == "stopped"
    server.hang.clear()
    downloader.start(target, server.address)
    wait_for(downloader, "done")
    assert_whole(target)
    assert sum(path == f"/{FIRST}" for path, _ in server.asked) == 2


def test_downloader_tells_why_it_failed(target: Path) -> None:
    downloader = Downloader()
    downloader.start(target, "http://127.0.0.1:1")
    wait_for(downloader, "failed")
    assert "127.0.0.1 cannot be reached" in downloader.status.text


def test_fault_of_ours_ends_the_download(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FILES", None)
    downloader = Downloader()
    downloader.start(target, "http://127.0.0.1:1")
    wait_for(downloader, "failed")
    assert "report" in downloader.status.text
