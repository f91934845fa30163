import json
import os
import re
import subprocess
import sys
import threading
import uuid
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from airflow.sdk import DAG, Asset, TaskInstanceState, conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.serialization.serialized_objects import DagSerialization
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from dags._environment import container_environment, process_environment
from dags._form import Form
from dags._local import LocalStepOperator as StepOperator
from dags._step import dataset_name
from dags._tasks import RUNNERS, operator_of
from tasks.errors import RetakeError
from tasks.local.home_folder import REPOSITORY
from tasks.options import IngestOptions, PresetOptions, SegmentOptions, TrainOptions
from tasks.settings import RunnerSettings
from tests.collector import collecting, texts
from tests.dags.conftest import all_end, comes_true, defaults, is_running

FORM = Form(options=(IngestOptions, SegmentOptions), shared=(SegmentOptions,), then=(TrainOptions,))
PARAMS = defaults(FORM)


def step(**arguments):
    return StepOperator(
        **(
            {"dag": DAG("some_dag"), "task_id": "a_task", "step": "ingest", "form": FORM, "inputs": {"out": "{store}/ingests/{key}/"}}
            | arguments
        )
    )


@pytest.fixture
def lingering(play, tmp_path):
    """A step that never ends and does not mind SIGTERM, nor does its child; returns what waits for it and gives their pids."""
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    play(f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
with open({str(fifo)!r}, "w") as fifo:
    fifo.write(json.dumps([os.getpid(), child.pid]))
child.wait()
""")
    return lambda: json.loads(fifo.read_text())


def test_a_step_gets_its_arguments_and_its_result_is_returned(play, context, log):
    play("print('chatter')\nprint(json.dumps({'argv': sys.argv[1:]}))")
    operator = step(options=(IngestOptions,), inputs={"other_thing": "{store}/x/", "out": "{store}/clips/{recipe}/"})
    address = "https://h/?token=pw"
    argv = operator.execute(context(PARAMS | {"sources": ["/a b", "--c", address], "store": "s3://mine"}))["argv"]
    assert argv[:4] == ["-m", "tasks", "ingest", "--store=s3://mine"]
    assert argv[4:7] == ["--sources=/a b", "--sources=--c", f"--sources={address}"]
    assert any("--sources=https://h/?… " in line for line in log.lines)
    assert "--max-video-mib=4096" in argv
    assert "--other-thing=s3://mine/x/" in argv
    assert argv[-1].startswith("--out=s3://mine/clips/")
    assert not any("{" in flag for flag in argv)


def test_what_is_none_is_left_out_and_booleans_are_flags(play, context):
    from dags.retrain import FORM as RETRAIN

    play("print(json.dumps({'argv': sys.argv[1:]}))")
    params = defaults(RETRAIN)
    operator = step(form=RETRAIN, step="plan", passes=("dataset", "force_token"))
    argv = operator.execute(context(params))["argv"]
    assert not [flag for flag in argv if flag.startswith(("--dataset", "--force"))]
    argv = operator.execute(context(params | {"force": True, "dataset": "s3://mine/datasets/x/"}, run_id="run 1"))["argv"]
    assert {"--dataset=s3://mine/datasets/x/", "--force-token=run 1"} <= set(argv)


def test_every_line_reaches_the_log_as_it_is_even_without_a_line_end(play, context, log):
    play("sys.stderr.write('| a | 50 %s |\\n\\n| b | {x} |\\nlast'); sys.stderr.buffer.write(b'\\xff'); print('{}')")
    step().execute(context(PARAMS))
    assert log.lines[-4:] == ["| a | 50 %s |", "", "| b | {x} |", "last\ufffd"]


def test_lines_come_while_the_step_runs(play, context, tmp_path, log):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    play(f"print('epoch 1', file=sys.stderr, flush=True); print(json.dumps({{'read': open({str(gate)!r}).read()}}))")
    log.when["epoch 1"] = lambda: gate.write_text("go on")
    assert step().execute(context(PARAMS)) == {"read": "go on"}


OUTCOMES = {65: AirflowFailException, 78: AirflowFailException, 1: AirflowFailException, 75: AirflowException, 99: AirflowSkipException}
WORKING = "print('working', file=sys.stderr); print('film.mp4: why', file=sys.stderr)"


def test_every_kind_of_error_has_an_exit_code_that_the_runner_knows_and_there_is_a_runner_for_each_choice():
    assert {error.exit_code for error in RetakeError.__subclasses__()} <= OUTCOMES.keys()
    assert set(RUNNERS) == set(RunnerSettings.model_fields["runner"].annotation.__args__)


@pytest.mark.parametrize(
    ("body", "said", "wanted"),
    [
        *((f"{WORKING}; sys.exit({code})", r"film\.mp4: why", wanted) for code, wanted in OUTCOMES.items()),
        ("os.kill(os.getpid(), signal.SIGKILL)", "ingest ended with signal SIGKILL", AirflowException),
        *((body, "no result", AirflowException) for body in ("", "print('no json')", "print('[1]')")),
    ],
)
def test_how_a_step_ends_says_whether_a_retry_helps_and_a_later_task_is_told_why(body, said, wanted, play, context):
    play(body)
    task = context(PARAMS)
    with pytest.raises(AirflowException, match=said) as raised:
        step().execute(task)
    assert type(raised.value) is wanted
    pushed = {"failure": {"step": "a_task", "map_index": -1, "reason": str(raised.value)}}
    assert task["ti"].pushed == ({} if wanted is AirflowSkipException else pushed)


def test_wrong_options_and_settings_fail_before_anything_runs(play, context, monkeypatch):
    play("raise SystemExit('ran')")
    with pytest.raises(AirflowFailException, match="fps"):
        step().execute(context(PARAMS | {"fps": 0}))
    monkeypatch.setenv("RETAKE_RUNNER", "carrier-pigeon")
    with pytest.raises(AirflowFailException, match="RETAKE_RUNNER"):
        step().execute(context(PARAMS))


def test_a_step_gets_no_secret_of_airflow(context):
    airflow = ("DATABASE__SQL_ALCHEMY_CONN", "API_AUTH__JWT_SECRET", "CORE__FERNET_KEY")
    secret = {**{f"AIRFLOW__{name}": "x" for name in airflow}, "PGPASSWORD": "x", "RETAKE_NOTIFY": "x", "RETAKE_APPROVERS": "x"}
    needed = {"PATH": "/bin", "RETAKE_STORE_SECRET_KEY": "k", "MLFLOW_TRACKING_PASSWORD": "p", "AWS_REGION": "r", "https_proxy": "http://p"}
    needed |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "NCCL_P2P_DISABLE": "1", "PYTORCH_CUDA_ALLOC_CONF": "x"}
    others = {"OTEL_SERVICE_NAME": "airflow", "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "x", "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "x"}
    environment = process_environment(secret | others | needed, context(PARAMS))
    assert environment == needed | {
        "RETAKE_AIRFLOW_URL": "http://airflow.test:8080/dags/some_dag/runs/manual__2026-11-25T10%3A00%3A00%2B00%3A00"
    }


def test_a_container_is_given_its_servers_and_sources_and_the_span_of_its_task_and_no_settings_of_airflow(context, span_of_task):
    needed = {"RETAKE_STORE_SECRET_KEY": "k", "RETAKE_S3_CONNECTIONS": "{}", "RETAKE_SOURCES": "{}", "https_proxy": "http://p"}
    needed |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "RETAKE_LOG_FORMAT": "json", "NCCL_DEBUG": "INFO", "PYTORCH_ALLOC_CONF": "x"}
    others = {"PATH": "/bin", "AIRFLOW__CORE__FERNET_KEY": "x", "RETAKE_STORE_URI": "s3://x", "AWS_SECRET_ACCESS_KEY": "a"}
    others["OTEL_SERVICE_NAME"] = "airflow"
    environment = container_environment(needed | others, context(PARAMS), trains_on_gpu=False)
    assert environment.keys() - needed.keys() == {"RETAKE_AIRFLOW_URL", "RETAKE_CACHE_DIR", "RETAKE_TRAINS_ON", "TMPDIR", "TRACEPARENT"}
    assert needed.items() <= environment.items()


def test_the_environment_of_the_runner_does_not_reach_the_step(play, context, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    play("print(json.dumps({'names': sorted(os.environ), 'cwd': os.getcwd(), 'stdin': sys.stdin.read()}))")
    result = step().execute(context(PARAMS))
    assert "RETAKE_AIRFLOW_URL" in result["names"]
    assert not [name for name in result["names"] if name.startswith("AIRFLOW")]
    assert (Path(result["cwd"]) / "tasks").is_dir()
    assert result["stdin"] == ""


@pytest.fixture
def span_of_task():
    """The span that Airflow has around a task, where it sends traces."""
    span = NonRecordingSpan(SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)))
    with use_span(span):
        yield span.get_span_context()


@pytest.mark.slow
def test_a_step_sends_its_span_below_that_of_its_task_and_a_json_line_says_why_it_failed(context, log, monkeypatch, span_of_task):
    monkeypatch.setenv("RETAKE_LOG_FORMAT", "json")
    with collecting() as (environment, spans):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(AirflowFailException, match=r"^BadConfiguration: environment: RETAKE_STORE_ENDPOINT") as raised:
            step(step="label", inputs={}).execute(context(PARAMS | {"store": "s3://mine"}))
    ((span, _),) = spans
    assert (int(span.trace_id.hex(), 16), int(span.parent_span_id.hex(), 16)) == (span_of_task.trace_id, span_of_task.span_id)
    assert (span.name, texts(span)["retake.store"], texts(span)["error.type"]) == ("label", "s3://mine", "BadConfiguration")
    line = json.loads(log.lines[-1])
    assert (line["level"], line["step"], line["trace_id"], line["message"]) == ("ERROR", "label", span.trace_id.hex(), str(raised.value))
    assert line["run"].startswith("http://airflow.test:8080/dags/some_dag/runs/")


def test_lineage_names_what_a_step_read_and_wrote_in_the_store_and_in_mlflow(context, tmp_path, monkeypatch):
    pytest.importorskip("airflow.providers.openlineage", reason="`make test` installs it")
    from airflow.providers.openlineage.extractors.manager import ExtractorManager
    from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.file import FileConfig, FileTransport

    def complete(operator):
        lineage = ExtractorManager().extract_metadata(SimpleNamespace(run_id="r"), operator, TaskInstanceState.SUCCESS, SimpleNamespace())
        adapter = OpenLineageAdapter(OpenLineageClient(transport=FileTransport(FileConfig(str(tmp_path / "events"), append=True))))
        adapter.complete_task(str(uuid.uuid4()), "retrain.register", "2026-11-25T10:00:00Z", lineage, None, None, [], [], None)
        event = json.loads((tmp_path / "events").read_text().splitlines()[-1])
        return [{(each["namespace"], each["name"]) for each in event[kind]} for kind in ("inputs", "outputs")]

    run = f"runs/{'0' * 16}"
    plan = f"{run}/decisions/{'0' * 16}/plan"
    result = {"model_name": "retake-tsn", "version": 3, "mlflow_run_id": "1", "mlflow_run_url": "http://mlflow:5000/#/runs/1"}
    monkeypatch.setattr(StepOperator, "run_step", lambda *_: result)
    operator = step(step="register", inputs={"plan": f"s3://mine/{plan}/"})
    assert complete(operator) == [set(), set()]
    operator.execute(context(PARAMS | {"store": "s3://mine"}))
    assert complete(operator) == [
        {("s3://mine", plan), ("s3://mine", f"{run}/train")},
        {("s3://mine", f"{run}/register"), ("http://mlflow:5000", "models/retake-tsn/versions/3")},
    ]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3+nas://films/cam*/a b.mp4", ("s3+nas://films", "cam*/a b.mp4")),
        ("s3://films", ("s3://films", "/")),
        ("/videos/a.mp4", ("file", "/videos/a.mp4")),
        ("https://me:geheim@h/a.mp4?token=geheim", ("https://h", "a.mp4?…")),
    ],
)
def test_a_source_has_a_name_without_secrets_in_lineage(address, name):
    assert dataset_name(address) == name


def test_airflow_sends_traces_and_metrics_in_containers_once_a_collector_is_named(monkeypatch):
    values = set(re.findall(r'__OTEL_ON: "\$\{OTEL_EXPORTER_OTLP_ENDPOINT:\+(.*)\}(.*)"', (REPOSITORY / "docker-compose.yml").read_text()))
    ((when_set, always),) = values
    for value, is_on in ((always, False), (when_set + always, True)):
        monkeypatch.setenv("AIRFLOW__TRACES__OTEL_ON", value)
        assert conf.getboolean("traces", "otel_on") is is_on


def test_a_list_that_tasks_are_mapped_over_is_returned_and_the_result_kept_beside_it(play, context):
    play("print(json.dumps({'batches': [{'uri': 'u'}], 'num_videos': 1}))")
    task = context(PARAMS)
    assert step(returns="batches").execute(task) == [{"uri": "u"}]
    assert task["ti"].pushed == {"result": {"batches": [{"uri": "u"}], "num_videos": 1}}


def test_an_asset_event_carries_store_and_options(play, context):
    play("print('{}')")
    asset = Asset(name="made")
    task = context(PARAMS | {"store": "s3://mine", "fps": 25, "then": {"epochs": 6}})
    step(outlets=[asset]).execute(task)
    extra = task["outlet_events"][asset].extra
    assert (extra["store"], extra["params"]["fps"], extra["params"]["epochs"]) == ("s3://mine", 25, 6)
    assert "sources" not in extra["params"]


def test_the_buttons_lead_to_the_run_the_report_and_the_package_that_the_result_names(play, context):
    operator = step()
    assert [link.get_link(operator, ti_key=None) for link in operator.operator_extra_links] == ["", "", ""]
    play("print(json.dumps({'mlflow_run_url': 'http://run', 'report_url': 'http://report', 'artifacts_url': 'http://package'}))")
    operator.execute(context(PARAMS))
    buttons = {link.name: link.get_link(operator, ti_key=None) for link in operator.operator_extra_links}
    assert buttons == {"MLflow run": "http://run?workflowType=machine_learning", "Report": "http://report", "Package": "http://package"}


def test_on_kill_ends_the_step_and_its_children(lingering, context, monkeypatch):
    monkeypatch.setattr("dags._local.TERM_GRACE_SECONDS", 0.2)
    operator = step()
    operator.on_kill()
    raised = []

    def run():
        try:
            operator.execute(context(PARAMS))
        except AirflowException as error:
            raised.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    pids = lingering()
    assert all(map(is_running, pids))
    assert comes_true(lambda: operator._process)
    operator.on_kill()
    thread.join(60)
    assert all_end(pids)
    assert "SIGKILL" in raised[0]
    operator.on_kill()


@pytest.mark.slow
def test_a_child_that_the_step_leaves_behind_ends_with_it(play, context):
    play("child = subprocess.Popen(['sleep', '600']); print(json.dumps({'child': child.pid}))")
    assert all_end([step().execute(context(PARAMS))["child"]])


SUPERVISED = """
import json, os, sys
from datetime import datetime
from types import SimpleNamespace
from airflow.sdk import DAG
from dags._form import Form
from dags._local import LocalStepOperator as StepOperator
from tasks.options import IngestOptions
form = Form((IngestOptions,))
operator = StepOperator(dag=DAG("some_dag"), task_id="a_task", step="ingest", form=form, inputs={"out": "{store}/x/"})
context = {"params": {n: p.value for n, p in form.params().items()}, "run_id": "r", "triggering_asset_events": {},
           "dag_run": SimpleNamespace(dag_id="d", run_id="r")}
for _ in range(2):
    task = os.fork()
    if task == 0:
        os.dup2(2, 1)  # the log would run into the line that the test reads
        operator.execute(context)
        os._exit(0)
    print(task, flush=True)
    os.waitpid(task, 0)
"""


@pytest.mark.slow
def test_no_step_outlives_an_airflow_process_that_is_killed(lingering):
    command = [sys.executable, "-c", SUPERVISED]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes, text=True) as supervisor, ExitStack() as stack:
        stack.callback(supervisor.kill)
        for killed in ("task", "supervisor"):
            task = int(supervisor.stdout.readline())
            pids = lingering()
            assert all(map(is_running, [task, *pids]))
            psutil.Process({"task": task, "supervisor": supervisor.pid}[killed]).kill()
            assert all_end([task, *pids])


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_step_is_mapped_over_a_list_in_every_runner(runner):
    operator = operator_of(runner)
    fixed = {"step": "predict_batch", "form": FORM, "image": "trainer", "gpu": True, "inputs": {"batch": "{{ task.mapped.uri }}"}}
    with DAG("a_dag") as dag:
        over = operator(task_id="over", step="predict_plan", form=FORM, returns="batches")
        mapped = operator.partial(task_id="mapped", **fixed).expand(mapped=over.output)
    assert (over.queue, mapped.queue) == ("cpu", "gpu")
    assert over.task_id in mapped.upstream_task_ids
    task = mapped.unmap({"mapped": {"uri": "u"}})
    task.render_template_fields({"task": task})
    assert task.inputs == {"batch": "u"}
    assert (task.image_kind, task.gpu, task.queue, task.step) == ("trainer", True, "gpu", "predict_batch")
    shown = DagSerialization.to_dict(dag)["dag"]["tasks"]
    assert {tuple(shown_operator["__var"].get("template_fields", ())) for shown_operator in shown} == {("mapped", "overlay", "inputs")}


def test_a_queue_of_ones_own_is_kept():
    assert step(queue="night").queue == "night"
    with DAG("a_dag"):
        assert StepOperator.partial(task_id="t", step="s", form=FORM, queue="night").expand(mapped=[{}]).queue == "night"


def test_an_overlay_takes_the_place_of_the_forms_options_and_preset_and_of_the_key_that_they_make(play, context):
    play("print(json.dumps({'argv': sys.argv[1:]}))")
    form = Form(options=(PresetOptions, TrainOptions))
    task = {"form": form, "step": "weights", "options": (TrainOptions,), "inputs": {"out": "{store}/choices/{key}/"}, "passes": ("preset",)}
    overlay, params = '{"family": "TRN", "epochs": 3}', defaults(form) | {"preset": "none"}
    plain, overlaid = (step(**task, overlay=over).execute(context(params))["argv"] for over in (None, overlay))
    assert {"--family=TSN", "--epochs=60"} <= set(plain)
    assert {"--family=TRN", "--epochs=3"} <= set(overlaid)
    assert plain[-1] != overlaid[-1]
    plain, overlaid = (step(**task, overlay=over).execute(context(defaults(form)))["argv"] for over in (None, overlay))
    assert ("--preset=auto" in plain, "--preset=none" in overlaid) == (True, True)
