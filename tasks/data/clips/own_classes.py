"""Assign permanent ids to the store's own classes.

Each word without an EPIC-KITCHENS-55 id has an object of its own, which is never overwritten.
"""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count

from tasks.data.labels.vocabulary import FIRST_OWN_ID, OwnClasses, WordTarget
from tasks.store.layout import Layout, is_own_class
from tasks.store.objects import Store
from tasks.store.records.dataset import ClassRef
from tasks.wording import quoted

log = logging.getLogger("retake")

NUM_THREADS = 16


def own_classes(store: Store, store_uri: str) -> OwnClasses:
    """Read the ids that this store has given."""
    return OwnClasses(verbs=_given(store, store_uri, "verb"), nouns=_given(store, store_uri, "noun"))


def number_words(store: Store, store_uri: str, own: OwnClasses, words: Mapping[WordTarget, Iterable[str]]) -> OwnClasses:
    """Give each of `words` the next free id.

    If another step has numbered a word meanwhile, its id is used. `own` has the ids given before.
    """
    return OwnClasses(
        verbs=_numbered(store, store_uri, "verb", own.verbs, words["verb"]),
        nouns=_numbered(store, store_uri, "noun", own.nouns, words["noun"]),
    )


def _given(store: Store, store_uri: str, target: WordTarget) -> dict[str, int]:
    found = [o.uri for o in store.list(Layout(store_uri).own_classes(target)) if is_own_class(o.uri)]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        classes = list(pool.map(lambda uri: store.read(uri, ClassRef), found))
    return {ref.name: ref.id for ref in sorted(classes, key=lambda ref: ref.id, reverse=True)}


def _numbered(store: Store, store_uri: str, target: WordTarget, given: Mapping[str, int], words: Iterable[str]) -> dict[str, int]:
    known = dict(given)
    free = count(max([FIRST_OWN_ID[target] - 1, *known.values()]) + 1)
    for word in sorted(words):
        while word not in known:
            ref = ClassRef(id=next(free), name=word)
            at = Layout(store_uri).own_class(target, ref.id)
            if store.create(at, ref):
                log.info("new %s %s has the id %d", target, quoted(word), ref.id)
            else:
                ref = store.read(at)
            known.setdefault(ref.name, ref.id)
    return known
