from tasks.learn.class_names import ClassNames, no_names, trained_names
from tasks.learn.spec import NetworkSpec
from tasks.store.records.dataset import ClassRef, Vocabulary

SPEC = NetworkSpec(backbone="test_resnet")
WIDER = NetworkSpec(backbone="test_resnet", num_verbs=128, num_nouns=353)
START = no_names(SPEC)
VOCABULARY = Vocabulary(verbs=(ClassRef(id=1, name="put"), ClassRef(id=127, name="knit")), nouns=(ClassRef(id=351, name="sock"),))


def test_a_logit_has_the_name_of_its_class_id():
    names = trained_names(VOCABULARY, START, WIDER)
    assert (len(names.verbs), len(names.nouns)) == (128, 353)
    assert names.verbs[:3] == ("verb-0", "put", "verb-2")
    assert names.verbs[125:] == ("verb-125", "verb-126", "knit")
    assert names.nouns[350:] == ("noun-350", "sock", "noun-352")


def test_a_class_keeps_the_name_that_the_start_had_for_it():
    start = ClassNames(verbs=("take", "lay", *START.verbs[2:]), nouns=START.nouns)
    assert trained_names(VOCABULARY, start, WIDER).verbs[:3] == ("take", "put", "verb-2")


def test_a_network_can_name_what_it_has_a_name_for_and_a_start_whatever_it_has_an_output_for():
    names = trained_names(VOCABULARY, START, WIDER)
    assert names.known_verbs == {1, 127}
    assert names.known_nouns == {351}
    assert START.known_verbs == set(range(125))
    assert START.known_nouns == set(range(352))
