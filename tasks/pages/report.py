"""Serve the pages that steps write into a store: reports, comparisons, searches and predictions.

A page is one file that loads nothing. The browser gives it an origin of its own, so a script in it cannot act as the person who reads it.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Response

from tasks.errors import MissingObject, RetakeError
from tasks.pages.web import ALWAYS, lead_strangers_to
from tasks.store.objects import Store
from tasks.store.stored import as_folder

HEADERS = ALWAYS | {
    "Content-Security-Policy": "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox allow-downloads; default-src 'none'; "
    "img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'self'"
}


def make_app(store: Store, uris: Sequence[str], person: Callable[..., object], login: Callable[[str], str]) -> FastAPI:
    """Make the application.

    Args:
        store: reads the pages.
        uris: the stores whose pages are served.
        person: a FastAPI dependency that answers 401 to strangers.
        login: gives the address where a stranger logs in and comes back to an address.
    """
    app = FastAPI(title="Report", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(person)])
    lead_strangers_to(login, app)

    @app.get("/")
    def page(page: Annotated[str, Query(max_length=2048)]) -> Response:
        if not page.endswith(".html") or not any(page.startswith(as_folder(uri)) for uri in uris):
            raise HTTPException(404, f"{page!r} is no page of {' or '.join(uris)}; RETAKE_LABEL_STORES names further stores")
        try:
            return Response(store.read_bytes(page), media_type="text/html; charset=utf-8", headers=HEADERS)
        except MissingObject:
            raise HTTPException(404, f"there is no page {page}; it may have been deleted") from None
        except RetakeError as error:
            raise HTTPException(503, str(error)) from None

    return app
