from dataclasses import replace

import numpy as np

from tasks.evaluation.misnamed import worst_misnamed, worst_wrong


def test_the_worst_of_the_wrong_clips_come_first_with_what_was_said_instead(make_clips, vocabulary):
    clips = make_clips(40, skill=3.0)
    found = worst_misnamed(clips, vocabulary, 4)
    losses = [clips.losses[m.clip] for m in found]
    assert losses == sorted(losses, reverse=True)
    verb_right = clips.verb_logits.argmax(1) == clips.verb_classes
    noun_right = clips.noun_logits.argmax(1) == clips.noun_classes
    wrong = ~(verb_right & noun_right)
    assert min(losses) >= np.sort(clips.losses[wrong])[-4]
    assert {m.target for m in worst_misnamed(clips, vocabulary, 40)} == {"verb", "noun"}
    for m in worst_misnamed(clips, vocabulary, 40):
        assert m.target == ("noun" if verb_right[m.clip] else "verb")
        logits, true = (clips.verb_logits, clips.verb_classes) if m.target == "verb" else (clips.noun_logits, clips.noun_classes)
        assert m.class_id == logits[m.clip].argmax() != true[m.clip]


def test_clips_of_equal_loss_come_in_the_order_of_their_uids(make_clips, vocabulary):
    """As the report shows them, which knows the clips by uid."""
    clips = make_clips(2, classes=1, skill=-5.0)
    same = replace(clips, uids=("b", "a"), verb_logits=clips.verb_logits[[0, 0]], noun_logits=clips.noun_logits[[0, 0]])
    assert worst_wrong(same, vocabulary, 2) == [1, 0]
    assert [m.clip for m in worst_misnamed(same, vocabulary, 1)] == [1]


def test_a_network_that_is_always_right_has_none(make_clips, vocabulary):
    assert worst_misnamed(make_clips(10, skill=1000.0), vocabulary, 4) == []
