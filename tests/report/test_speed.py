import re

from tasks.report.inputs import ReportInputs
from tasks.report.page import page


def test_a_network_that_was_not_counted_has_no_size_and_keeps_its_engine(make_inputs):
    metrics = make_inputs("original").metrics
    first, *others = metrics.results
    uncounted = [first.model_copy(update={"num_parameters": None, "num_flops": None}), *others]
    html = page(ReportInputs(metrics.model_copy(update={"results": tuple(uncounted)})))
    sizes = re.search(r"<h3>Size and engine</h3>\s*<ul>(.*?)</ul>", html, re.DOTALL)[1]
    items = re.findall("<li>(.*?)</li>", sizes)
    assert [("FLOPs per clip" in item, "parameters" in item) for item in items] == [(False, False)] + [(True, True)] * (len(items) - 1)
    assert all(first.engine.description in item for item in items)
