"""What a labelling tells, for the tests of formats."""


def actions(labelling):
    return [clip.action for clip in labelling.clips]


def reasons(labelling):
    return [f"{problem.place}: {problem.reason}" for problem in labelling.problems]
