"""Serve films on pages of a site, as a stand-in for the web."""

import json
import re
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

from tasks.data.clips import web_reader, web_video
from tests.http_servers import Answering, in_thread


class Site(Answering):
    """`/watch/NAME` is a page, `/short/NAME` its other address, `/films/NAME.mp4` its film, `/feed` a list of all; `server.cut_bytes` ends each answer early."""

    def do_GET(self):
        self.server.requests.append((self.path, self.headers["range"]))
        kind, _, name = self.path.strip("/").partition("/")
        film = self.server.films.get(name.removesuffix(".mp4"))
        if kind == "feed":
            items = "".join(f"<item><title>{name}</title><link>{self.address}/watch/{name}</link></item>" for name in self.server.films)
            self.answer(200, f"<rss><channel><title>Kitchen</title>{items}</channel></rss>".encode(), **{"content-type": "text/xml"})
        elif kind == "short":
            self.answer(302, location=f"/watch/{name}")
        elif film is None:
            self.send_error(404)
        elif kind == "watch":
            about = {"@context": "https://schema.org", "@type": "VideoObject", "name": f"Kitchen {name}", "uploadDate": "2019-05-01"}
            about |= {"contentUrl": f"{self.address}/films/{name}.mp4", "author": {"@type": "Person", "name": "Ann"}}
            page = f'<html><script type="application/ld+json">{json.dumps(about)}</script></html>'
            self.answer(200, page.encode(), **{"content-type": "text/html"})
        else:
            self.send_film(film)

    @property
    def address(self):
        return f"http://{self.headers['host']}"

    def send_film(self, film):
        start = re.fullmatch(r"bytes=(\d+)-", self.headers["range"] or "")
        first = int(start[1]) if start else 0
        self.send_response(206 if start else 200)
        self.send_header("content-type", "video/mp4")
        self.send_header("content-length", str(len(film) - first))
        if start:
            self.send_header("content-range", f"bytes {first}-{len(film) - 1}/{len(film)}")
        self.end_headers()
        self.wfile.write(film[first:][: self.server.cut_bytes])


@contextmanager
def site(films):
    """Yield the server of films by name; `host` is the channel that owns them."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.films, server.requests, server.cut_bytes = films, [], None
    server.host = f"127.0.0.1:{server.server_port}"
    with in_thread(server):
        yield server


def read_in_process(monkeypatch, cache):
    """Let yt-dlp read pages of this machine at once, in this process."""
    monkeypatch.setenv("RETAKE_ALLOW_PRIVATE_ADDRESSES", "true")
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(cache))
    monkeypatch.setattr(web_video, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(web_reader, "REQUEST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(web_video, "_answer", web_reader.answer_to)
