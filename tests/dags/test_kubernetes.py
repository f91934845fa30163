"""The runner `kubernetes` without a cluster: the pod as the client sends it, and what its end means to Airflow."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, TaskDeferred
from kubernetes.client import ApiClient, V1Pod

from dags._form import Form
from dags._kubernetes import KubernetesStepOperator
from tasks.keys import recipe_of
from tasks.options import IngestOptions, SegmentOptions
from tasks.store.layout import Layout
from tests.dags.cluster import Cluster
from tests.dags.conftest import defaults

FORM = Form(options=(IngestOptions,))
PARAMS = defaults(FORM)
RESULT = {"videos": [{"uri": "u"}], "mlflow_run_url": "http://mlflow/run"}
SETTINGS = {
    "NAMESPACE": "retake",
    "WORKER_IMAGE": "retake/worker:1",
    "TRAINER_IMAGE": "retake/trainer:1",
    "SECRET_NAME": "retake-keys",
    "CONFIG_MAP": "retake-settings",
    "SERVICE_ACCOUNT": "steps",
    "CACHE_CLAIM": "retake-cache",
    "TOLERATIONS": '[{"key": "spot", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 60}]',
    "GPU_NODE_SELECTOR": '{"gpu": "h100"}',
    "POLL_SECONDS": "0.01",
}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    cluster = Cluster()
    (tmp_path / "kubeconfig").write_text(cluster.kubeconfig)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", '{"conn_type": "kubernetes"}')
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"RETAKE_KUBERNETES_{name}", value)
    yield cluster
    cluster.shutdown()
    cluster.server_close()


@pytest.fixture
def task(context):
    """A context as the provider wants it besides."""
    made = context(PARAMS, run_id=f"manual__{uuid.uuid4().hex}")
    extra = {"dag_id": "some_dag", "task_id": "a_task", "run_id": made["run_id"], "start_date": datetime.now(UTC)}
    made["ti"] = SimpleNamespace(**vars(made["ti"]), **extra)
    return made | {"dag": SimpleNamespace(), "task_state_store": None}


def operator(**arguments):
    fixed = {"dag": DAG("some_dag"), "task_id": "a_task", "step": "ingest", "form": FORM, "inputs": {"out": "{store}/ingests/x/"}}
    return KubernetesStepOperator(**fixed | {"execution_timeout": timedelta(hours=1)} | arguments)


def sent(operator, context):
    """The pod that would be asked for, as the cluster would read it."""
    operator.prepare(["--store=s3://retake", "--out=s3://retake/x/"], context)
    client = ApiClient()
    body = client.sanitize_for_serialization(operator.build_pod_request_obj(context, dry_run=True))
    read = client.deserialize(SimpleNamespace(data=json.dumps(body)), V1Pod)
    assert client.sanitize_for_serialization(read) == body
    return body


def test_a_pod_may_do_nothing_but_its_step(cluster, task):
    pod = sent(operator(), task)
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "retake/worker:1"
    assert container["command"] == ["python", "-m", "tasks", "ingest", "--store=s3://retake", "--out=s3://retake/x/"]
    assert container["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    wanted = {"runAsNonRoot": True, "fsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    assert wanted.items() <= spec["securityContext"].items()
    assert {"automountServiceAccountToken": False, "serviceAccountName": "steps", "restartPolicy": "Never"}.items() <= spec.items()
    assert not spec.get("hostNetwork")
    assert container["resources"] == {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"tmp": "/tmp", "scratch": "/scratch", "shm": "/dev/shm", "cache": "/var/cache/retake"}  # noqa: S108
    volumes = {volume.pop("name"): volume for volume in spec["volumes"]}
    assert volumes == {
        "tmp": {"emptyDir": {"sizeLimit": "256Mi"}},
        "scratch": {"emptyDir": {"sizeLimit": "50Gi"}},
        "shm": {"emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}},
        "cache": {"persistentVolumeClaim": {"claimName": "retake-cache"}},
    }
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_without_a_claim_a_pod_has_a_cache_of_its_own(cluster, task, monkeypatch):
    monkeypatch.delenv("RETAKE_KUBERNETES_CACHE_CLAIM")
    assert {"name": "cache", "emptyDir": {"sizeLimit": "20Gi"}} in sent(operator(), task)["spec"]["volumes"]


def test_labels_are_such_as_a_cluster_takes(cluster, task):
    labels = sent(operator(), task | {"run_id": "manual__2026-11-25T10:00:00+00:00"})["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "retake"
    assert {labels[name] for name in ("dag_id", "task_id")} == {"some_dag", "a_task"}
    assert labels["run_id"].startswith("manual__2026-11-25T100000")
    assert all(len(value) <= 63 and ":" not in value for value in labels.values())


@pytest.mark.parametrize(("gpu", "setting", "wanted"), [(True, "auto", "1"), (True, "off", None), (False, "required", None)])
def test_a_step_that_uses_a_gpu_asks_for_it(gpu, setting, wanted, cluster, task, monkeypatch):
    monkeypatch.setenv("RETAKE_GPU", setting)
    spec = sent(operator(gpu=gpu, image="trainer"), task)["spec"]
    assert spec["containers"][0]["image"] == "retake/trainer:1"
    assert spec["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") == wanted
    assert spec.get("nodeSelector", {}) == ({"gpu": "h100"} if wanted else {})
    assert [toleration["key"] for toleration in spec["tolerations"]] == ["spot"] + ["nvidia.com/gpu"] * bool(wanted)
    assert spec["tolerations"][0]["tolerationSeconds"] == 60


def test_secrets_are_named_and_never_written_down(cluster, task, monkeypatch):
    monkeypatch.setenv("RETAKE_STORE_ENDPOINT", "minio:9000")
    secret = {"RETAKE_STORE_SECRET_KEY": "tell-no-one", "MLFLOW_TRACKING_PASSWORD": "tell-no-one", "HTTPS_PROXY": "http://me:tell-no-one@p"}
    secret |= {f"OTEL_EXPORTER_OTLP_{kind}HEADERS": "authorization=tell-no-one" for kind in ("", "TRACES_", "METRICS_", "LOGS_")}
    secret["RETAKE_S3_CONNECTIONS"] = '{"nas": {"endpoint": "nas:9000", "access_key": "a", "secret_key": "tell-no-one"}}'
    monkeypatch.setenv("RETAKE_SOURCES", '{"s3://retake": ["s3+nas://films/**.mp4"]}')
    for name, value in (secret | {"AIRFLOW__CORE__FERNET_KEY": "tell-no-one"}).items():
        monkeypatch.setenv(name, value)
    step = operator()
    pod = sent(step, task)
    assert "tell-no-one" not in json.dumps(pod) + repr(vars(step))
    container = pod["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": "retake-settings"}}, {"secretRef": {"name": "retake-keys"}}]
    given = {entry["name"]: entry["value"] for entry in container["env"]}
    assert given["RETAKE_STORE_ENDPOINT"] == "minio:9000"
    assert given["RETAKE_SOURCES"] == '{"s3://retake": ["s3+nas://films/**.mp4"]}'
    assert given["TMPDIR"] == "/scratch"
    assert not [name for name in given if name.startswith("AIRFLOW")]


def test_no_variable_is_put_in_the_place_of_what_a_person_typed(cluster, task):
    step = operator()
    step.prepare(["--name=$(RETAKE_STORE_SECRET_KEY) for 5 $"], task)
    command = step.build_pod_request_obj(task, dry_run=True).spec.containers[0].command
    assert command[-1] == "--name=$$(RETAKE_STORE_SECRET_KEY) for 5 $$"


def start(step, task):
    """Start the step's pod; what wakes the task up again."""
    with pytest.raises(TaskDeferred) as deferred:
        step.execute(task)
    assert deferred.value.method_name == "trigger_reentry"
    return deferred.value.trigger


def event_of(trigger):
    """The event of the trigger when the pod has ended."""

    async def first():
        return (await anext(trigger.run())).payload

    return asyncio.run(first())


@pytest.fixture
def in_store(shelf):
    """A store that has the result of the step."""
    shelf.write_bytes("s3://retake/ingests/x/result.json", json.dumps(RESULT).encode())


def test_a_step_waits_outside_of_the_worker_and_returns_what_it_left_in_the_store(cluster, task, in_store):
    trigger = start(operator(returns="videos"), task)
    assert len(cluster.pods) == 1
    cluster.end()
    cluster.log = "1 of 2\n"
    again = operator(returns="videos")
    assert again.trigger_reentry(task, event_of(trigger)) == RESULT["videos"]
    assert again.do_xcom_push
    assert task["ti"].pushed["result"] == RESULT
    assert again.mlflow_run_url == "http://mlflow/run"
    assert len(cluster.deleted) == 1


def test_a_result_is_found_where_the_options_of_one_network_lead_to(cluster, task, shelf):
    cut = SegmentOptions(crf=21)
    form = Form(options=(SegmentOptions,))
    task |= {"params": defaults(form)}
    arguments = {"step": "label", "form": form, "options": (SegmentOptions,), "inputs": None, "overlay": '{"crf": 21}'}
    shelf.write_bytes(Layout("s3://retake").labels(recipe_of(cut)).uri, json.dumps(RESULT).encode())
    trigger = start(operator(**arguments), task)
    cluster.end()
    assert operator(**arguments).trigger_reentry(task, event_of(trigger)) == RESULT


@pytest.mark.parametrize(
    ("code", "reason", "said", "wanted"),
    [
        *((code, "Error", r"film\.mp4: why", AirflowFailException) for code in (65, 78, 1)),
        (75, "Error", r"film\.mp4: why", AirflowException),
        (99, "Error", r"film\.mp4: why", AirflowSkipException),
        (137, "OOMKilled", "RETAKE_KUBERNETES_TRAINER_LIMITS", AirflowException),
    ],
)
def test_how_a_pod_ends_says_whether_a_retry_helps(code, reason, said, wanted, cluster, task):
    trigger = start(operator(image="trainer"), task)
    cluster.end(exitCode=code, reason=reason, message="working\nfilm.mp4: why\n")
    with pytest.raises(AirflowException, match=said) as raised:
        operator(image="trainer").trigger_reentry(task, event_of(trigger))
    assert type(raised.value) is wanted
    assert len(cluster.deleted) == 1


def test_a_pod_that_no_node_takes_says_why(cluster, task):
    start(operator(), task)
    (pod,) = cluster.pods.values()
    reason = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "3 Insufficient nvidia.com/gpu"}
    pod["status"] = {"phase": "Pending", "conditions": [reason]}
    event = {"status": "timeout", "name": pod["metadata"]["name"], "namespace": "retake", "message": "too late"}
    with pytest.raises(AirflowException, match=r"Unschedulable: 3 Insufficient nvidia\.com/gpu"):
        operator().trigger_reentry(task, event)
    assert len(cluster.deleted) == 1


def test_a_retry_finds_the_pod_of_a_worker_that_was_killed(cluster, task):
    first, second = start(operator(), task), start(operator(), task)
    assert first.pod_name == second.pod_name
    assert len(cluster.pods) == 1


def test_a_pod_that_is_gone_after_it_has_ended_well_is_no_failure(cluster, task, in_store):
    event = {"status": "success", "name": "gone", "namespace": "retake", "message": ""}
    assert operator().trigger_reentry(task, event) == RESULT


def test_a_pod_that_the_cluster_refuses_is_not_tried_again(cluster, task):
    cluster.refusal = "exceeded quota: gpus"
    with pytest.raises(AirflowFailException, match="refuses the pod of ingest: exceeded quota: gpus"):
        operator().execute(task)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SECRET_NAME", None, "RETAKE_KUBERNETES_SECRET_NAME"),
        ("TOLERATIONS", '[{"keys": "spot"}]', "RETAKE_KUBERNETES_TOLERATIONS_0_KEYS"),
        ("TOLERATIONS", "spot", "RETAKE_KUBERNETES_.*tolerations.*JSON"),
    ],
)
def test_wrong_settings_are_named(name, value, said, cluster, task, monkeypatch):
    monkeypatch.delenv(f"RETAKE_KUBERNETES_{name}") if value is None else monkeypatch.setenv(f"RETAKE_KUBERNETES_{name}", value)
    with pytest.raises(AirflowFailException, match=said):
        operator().execute(task)
