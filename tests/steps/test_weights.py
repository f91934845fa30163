import pytest

from tasks.options import TrainOptions, Weights
from tasks.steps.weights import candidates

EPIC, IMAGENET, NONE = Weights.EPIC, Weights.IMAGENET, Weights.NONE


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [("resnet50", EPIC), ("resnet50", IMAGENET), ("tf_efficientnet_lite0", IMAGENET)]),
        ({"weights": EPIC}, [("resnet50", EPIC)]),
        ({"weights": IMAGENET}, [("resnet50", IMAGENET), ("tf_efficientnet_lite0", IMAGENET)]),
        ({"weights": NONE}, [("resnet50", NONE)]),
        ({"backbone": "bninception"}, [("bninception", EPIC), ("bninception", IMAGENET)]),
        ({"backbone": "convnext_tiny"}, [("convnext_tiny", IMAGENET)]),
        ({"num_segments": 4}, [("resnet50", IMAGENET), ("tf_efficientnet_lite0", IMAGENET)]),
        ({"num_segments": 4, "checkpoint": "/own.pth.tar"}, [("resnet50", EPIC)]),
        ({"backbone": "resnet50", "weights": NONE}, [("resnet50", NONE)]),
    ],
)
def test_starts_come_best_first_and_a_checkpoint_that_is_named_has_no_rival(options, expected):
    assert candidates(TrainOptions(**options)) == expected
