"""Load the package's templates, and format times, options, addresses and machines for them."""

import base64
import functools
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tasks import wording
from tasks.judge.report.scores import markdown_table
from tasks.judge.statistics.calibration import at_search_limit
from tasks.settings import training_page
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import SplitName
from tasks.wording import count, count_with_verb, percent, percent_interval, size

TURNS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\N{REPLACEMENT CHARACTER}")
"""Characters by which a name would turn the direction of what follows it."""
BYTES, VERSION = "_bytes", "version."

MACHINE_NAMES = {
    "cpu_name": "processor",
    "device_name": "device model",
    "num_cores": "cores",
    "num_processes": "processes",
    "python": "Python",
}
"""Names of a machine's values where these are no words."""


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
        decimal=lambda number, digits=3: wording.minus(f"{number:,.{digits}f}"),
        seconds=wording.duration,
        size=wording.size,
        quantity=wording.quantity,
        utc=utc,
        setting=setting,
        thousands="{:,}".format,
        counted=wording.count,
        clock=wording.clock,
        some=wording.some,
        md=wording.markdown_text,
        markdown_table=markdown_table,
        code=code,
        short=short,
        training_page=training_page,
        jpeg=lambda picture: data_uri(picture, "image/jpeg"),
    )
    environment.globals.update(stretch=wording.stretch, own_channel="no licence named; a channel of the user's own")
    # What may become a link: never `javascript:` or the like.
    environment.tests["web_address"] = lambda text: text.startswith(("https://", "http://"))
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


def utc(iso: str) -> str:
    """Format ISO 8601 as `2026-11-26 00:25 UTC`; a time without a zone is UTC.

    Returns `unknown date` if the time does not parse.
    """
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return "unknown date"
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def data_uri(content: bytes, media_type: str) -> str:
    """Encode `content` as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def styles_of(thumbnails: Mapping[str, bytes]) -> dict[str, str]:
    """Name each small picture's style by uid, so that the page holds the picture once."""
    return {uid: f"t{number}" for number, uid in enumerate(thumbnails)}


def setting(value: object) -> str:
    """Format an option's value."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def code(text: str) -> str:
    """Format an address or key as a Markdown code span on one line, outside tables."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def short(source: str) -> str:
    """Shorten a clip's source if it is a video's hash, and keep a name."""
    return source[:12] if re.fullmatch("[0-9a-f]{64}", source) else source


def leaning(split: SplitName, *, chose_epoch: bool) -> str:
    """Return the caveat for a deciding val split that chose epoch or fusion weights."""
    if split != "val" or not chose_epoch:
        return ""
    return (
        "Val decides, and it also selected the kept epoch (or the fusion weights), so its scores are biased in favour of the new network. The chance "
        "of passing by luck leaves this choice out. A test split (test_share) has no such bias."
    )


def about_split(metrics: Metrics) -> tuple[str, ...]:
    """Say which split decides, and why, and which clips are left out of it."""
    split, gate, target = metrics.deciding_split, metrics.gate, metrics.targets[-1]
    test = next((result for result in metrics.results if (result.model, result.split) == ("fine-tuned", "test")), None)
    if split == "test":
        asked = f"{count(gate.min_gate_clips, 'clip')} of {count(gate.min_gate_sources, 'source video')}"
        is_enough = test is not None and gate.is_enough(test.num_clips, test.num_sources)
        sentences = [
            f"Test decides, because it chose no epoch{f', and has at least the {asked} that the gate asks for' if is_enough else ''}."
        ]
    elif test:
        has = f"{count(test.num_clips, 'clip')} of {count(test.num_sources, 'source video')}"
        sentences = [f"Val decides, because test has {has}, and the gate asks for {gate.min_gate_clips:,} of {gate.min_gate_sources:,}."]
    else:
        sentences = ["Val decides, because there is no test split."]
    if left_out := metrics.closed_set:
        sentences.append(
            f"Closed set: {count(left_out.num_clips, 'clip')} of {count(left_out.num_actions, f'unseen {target}')} left out of {split}, because train has none of "
            f"them. With these counted wrong, {target} top-1 is {percent(left_out.top1)} {percent_interval(left_out.top1_interval)}."
        )
    if metrics.num_chosen:
        sentences.append(
            f"{count_with_verb(metrics.num_chosen, f'{split} clip')} of videos where a network chose clips to label. Such clips are harder for that network, which favours others."
        )
    num_clips = sum(of_split.num_clips for of_split in metrics.splits if of_split.split == split)
    if metrics.num_accepted and num_clips:
        sentences.append(
            f"{metrics.num_accepted:,} of {count(num_clips, f'{split} label')} ({percent(metrics.num_accepted / num_clips)}) "
            f"{'was' if metrics.num_accepted == 1 else 'were'} suggested by a network and accepted by a person, which favours that network."
        )
    return tuple(sentences)


def coverage(metrics: Metrics) -> str:
    """End a sentence on the other source videos that the deciding split's interval is about."""
    deciding = next((size for size in metrics.splits if size.split == metrics.deciding_split), None)
    if metrics.deciding_split == "test" and deciding and metrics.num_drawn == deciding.num_sources:
        return "drawn as these were: at random, whatever they show"
    kept = f"a video that alone shows its {metrics.targets[-1]} stays in train"
    if metrics.deciding_split == "test" and metrics.num_drawn:
        return f"like these: {metrics.num_drawn:,} were drawn at random, the others were assigned to splits, and {kept}"
    return f"assigned to splits as these were: {kept}"


def machine_rows(hardware: Mapping[str, str | int]) -> list[tuple[str, str]]:
    """List names and values of the machine; the last row joins the versions of libraries."""
    rows = []
    for key, value in hardware.items():
        name = MACHINE_NAMES.get(key) or key.removesuffix(BYTES).replace("_", " ")
        if not key.startswith(VERSION):
            rows.append((name, size(value) if key.endswith(BYTES) and isinstance(value, int) else str(value)))
    versions = [f"{key.removeprefix(VERSION)} {value}" for key, value in hardware.items() if key.startswith(VERSION)]
    return [*rows, ("versions", ", ".join(versions))] if versions else rows
