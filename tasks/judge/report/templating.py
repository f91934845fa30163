"""Load the package's templates and register their number filters."""

import base64
import functools
import hashlib

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tasks import wording
from tasks.judge.report import formats
from tasks.judge.statistics.calibration import at_search_limit

TURNS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\N{REPLACEMENT CHARACTER}")
"""Characters by which a name would turn the direction of what follows it."""


@functools.cache
def templates() -> Environment:
    """Create the Jinja environment: HTML is autoescaped, undefined names are errors."""
    environment = Environment(
        loader=PackageLoader("tasks.judge.report"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: value.translate(TURNS) if isinstance(value, str) else value,
    )
    environment.filters.update(
        percent=wording.percent,
        interval=wording.percent_interval,
        signed=wording.signed,
        p_value=wording.p_value,
        decimal=lambda number, digits=3: f"{number:,.{digits}f}",
        seconds=wording.duration,
        size=wording.size,
        quantity=wording.quantity,
        utc=formats.utc,
        setting=formats.setting,
        thousands="{:,}".format,
        counted=wording.count,
        clock=wording.clock,
        some=wording.some,
        md=wording.markdown_text,
        code=formats.code,
    )
    environment.globals["stretch"] = wording.stretch
    environment.tests["web_address"] = formats.is_web_address
    environment.tests["at_search_limit"] = at_search_limit
    return environment


def rendered(template: str, **values: object) -> str:
    """Render one of the package's templates."""
    return templates().get_template(template).render(**values)


@functools.cache
def frame_script() -> tuple[str, str]:
    """Return the page's only script, and its hash for the content security policy."""
    script = rendered("frame.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return script, f"sha256-{digest}"
