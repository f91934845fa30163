from tasks.results.dataset import ClassRef, Vocabulary
from tasks.steps._networks import class_names


def test_a_logit_has_the_name_of_its_class_id():
    names = class_names(
        Vocabulary(verbs=(ClassRef(id=1, name="put"),), nouns=(ClassRef(id=26, name="meat"), ClassRef(id=351, name="sock")))
    )
    assert (len(names.verbs), len(names.nouns)) == (125, 352)
    assert names.verbs[:3] == ("verb-0", "put", "verb-2")
    assert names.nouns[25:28] == ("noun-25", "meat", "noun-27")
    assert names.nouns[351] == "sock"
