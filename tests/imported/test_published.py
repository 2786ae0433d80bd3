"""Is a published checkpoint downloaded once, does a download go on, and is a changed file noticed?"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from adautomix.imported import PUBLISHED, fetch
from adautomix.recipes import RECIPES
from adautomix.utils.errors import UserError

CONTENT = bytes(range(256)) * 20_000
RECIPE = "imagenet_resnet18/adautomix"


class Server(BaseHTTPRequestHandler):
    asked: list[str | None]
    ranges = True
    stops_after: int | None = None

    def do_GET(self):
        asked = self.headers.get("Range")
        type(self).asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: self.stops_after])

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        handler.url = f"http://127.0.0.1:{http.server_port}/weights.pth"
        yield handler
        http.shutdown()


def test_the_three_published_cells_are_known():
    assert {RECIPES[name].paper for name in PUBLISHED} == {70.86, 74.82, 78.04}
    assert all(f"_r{name.split('/')[0].removeprefix('imagenet_resnet')}_" in url for name, url in PUBLISHED.items())


def test_a_file_is_downloaded_once(server, tmp_path):
    file = fetch(RECIPE, tmp_path / "new", server.url)
    assert file.read_bytes() == CONTENT
    assert fetch(RECIPE, tmp_path / "new", server.url) == file
    assert server.asked == [None]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_was_cut_off_goes_on(server, tmp_path, ranges):
    server.stops_after, server.ranges = 1_000_000, ranges
    with pytest.raises(UserError, match="could not be downloaded"):
        fetch(RECIPE, tmp_path, server.url)
    server.stops_after = None
    assert fetch(RECIPE, tmp_path, server.url).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-"]
    assert not list(tmp_path.glob("*.part"))


def test_a_part_that_is_whole_or_of_another_file_does_not_stop_the_download(server, tmp_path):
    (tmp_path / "weights.pth.part").write_bytes(CONTENT + b"more")
    assert fetch(RECIPE, tmp_path, server.url).read_bytes() == CONTENT


def test_a_file_that_has_changed_since_its_first_use_is_noticed(server, tmp_path):
    file = fetch(RECIPE, tmp_path, server.url)
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(UserError, match=r"not .* as at its first use"):
        fetch(RECIPE, tmp_path, server.url)


def test_without_a_network_the_message_says_what_to_put_where(tmp_path):
    with pytest.raises(UserError, match=r"weights.pth is not in .*could not be downloaded.*put it there from http"):
        fetch(RECIPE, tmp_path / "new", "http://127.0.0.1:9/weights.pth")
    assert not (tmp_path / "new").exists()
