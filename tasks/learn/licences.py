"""Know the licences of published weights, and warn of those that forbid commercial use."""

from collections.abc import Mapping
from dataclasses import dataclass

PERMISSIVE = frozenset({"apache-2.0", "bsd-3-clause", "cc-by-4.0", "mit"})
"""Licences that allow commercial use, as timm calls them."""


@dataclass(frozen=True)
class NonCommercial:
    """A licence that forbids commercial use, and the address of its text."""

    title: str
    source: str


NONCOMMERCIAL: Mapping[str, NonCommercial] = {
    "cc-by-nc-4.0": NonCommercial("CC BY-NC 4.0", "https://creativecommons.org/licenses/by-nc/4.0/legalcode"),
    "fair-noncommercial-research-license": NonCommercial(
        "FAIR Noncommercial Research License", "https://huggingface.co/facebook/MobileLLM-R1-950M"
    ),
    "apple-amlr": NonCommercial(
        "Apple Machine Learning Research Model License", "https://github.com/apple/ml-mobileclip/blob/main/LICENSE_MODELS"
    ),
    "seer-license": NonCommercial(
        "SEER License Agreement", "https://github.com/facebookresearch/vissl/blob/main/projects/SEER/MODEL_LICENSE.md"
    ),
}
"""By the name that timm has for a licence in `pretrained_cfg`. The texts were read at these addresses."""


def licence_warning(licence: str) -> str:
    """Say that a licence forbids commercial use, or that its terms are not known here; empty for a permissive one."""
    if licence in PERMISSIVE:
        return ""
    if terms := NONCOMMERCIAL.get(licence):
        return f"the licence of these weights forbids commercial use: {terms.title}, {terms.source}"
    return f"the licence of these weights is {licence}, whose terms are not known here; read them before commercial use"
