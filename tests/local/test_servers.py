"""The three real servers: started once, looked at, hurt, healed, and ended."""

import io
import os
import re
import signal
import sqlite3
import subprocess
import sysconfig
import time
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tasks.errors import Unavailable
from tasks.local import __main__ as commands
from tasks.local import follow, processes, servers, supervise
from tasks.local.airflow_api import AirflowApi, RunRef
from tasks.local.choices import CHAIN, Choices
from tasks.local.follow import PlainScreen
from tasks.local.home_backup import restore_home
from tasks.local.home_folder import Credentials, Home, add_person, people
from tasks.local.run import SAMPLE_STORE, open_store, ready_airflow
from tasks.pipeline.upkeep.restore import restore_files, verified
from tasks.store.objects import Store
from tests.budget.plugin import count_airflow_runs
from tests.local import version_before
from tests.ports import port_offset

pytestmark = pytest.mark.integration

PORT_OFFSET = port_offset(800)
CHAIN_OF_DAGS = """
import logging
from airflow.sdk import DAG, Asset, Param, task
from dags._triggers import RetrainWinner

def chain(dag_id, schedule, outlet):
    with DAG(dag_id=dag_id, schedule=schedule, params={"store": Param(None, type=["null", "string"])}):
        @task(outlets=[outlet])
        def work(params=None):
            logging.getLogger("work").info("the store is %s", params["store"])
            return {"store": params["store"]}
        work()

clips, dataset, model = Asset(name="retake_clips"), Asset(name="retake_dataset"), Asset(name="retake_model")
chain("ingest_videos", "@hourly", clips)
chain("build_dataset", [clips], dataset)
chain("retrain", [dataset], model)

with DAG(dag_id="slow", schedule=None, is_paused_upon_creation=False):
    @task
    def work():
        import os, pathlib, time
        pathlib.Path(os.environ["AIRFLOW_HOME"], "worker.pid").write_text(str(os.getpid()))
        time.sleep(600)
    work()

with DAG(dag_id="search", schedule=None, is_paused_upon_creation=False):
    @task
    def report():
        links = {"mlflow_run_url": "http://mlflow", "report_url": "http://mlflow/report"}
        return {"starts_retrain": True, "retrain": {"store": "s3://won"}, "retrain_run_id": "search__0123"} | links
    report() >> RetrainWinner(task_id="retrain", report="report")
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A home with everything up, restored from a backup, on a small chain of DAGs; and what was announced."""
    folder = tmp_path_factory.mktemp("servers")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "chain.py").write_text(CHAIN_OF_DAGS)
    home = Home(folder / "home")
    backup = version_before.make_backup(folder)
    announced: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETAKE_PORT_OFFSET", str(PORT_OFFSET))
        patch.setattr(servers, "DAGS", dags)
        patch.setattr(servers, "code_version", lambda: "tested")  # a commit in the middle would restart Airflow
        try:
            with home.lock():
                restore_home(home, backup, None, announced.append, replace=False)
            add_person(home, "anna", "labeller")
            supervise.up(home, announced.append)
            yield home, announced
        finally:
            try:
                _count_airflow_runs(home)
            finally:
                supervise.down(home, announced.append)


def _count_airflow_runs(home: Home) -> None:
    """Count the runs of Airflow while it answers; a test of this file stops it."""
    if address := supervise.healthy_address(home, "airflow"):
        count_airflow_runs(AirflowApi(address, Credentials.load(home).airflow_password))


@pytest.fixture
def home(local) -> Home:
    return local[0]


def up(home: Home) -> tuple[dict[str, servers.Server], list[str]]:
    announced: list[str] = []
    return {server.name: server for server in supervise.up(home, announced.append)}, announced


def store_of(home: Home, running: dict[str, servers.Server]) -> Store:
    return open_store(home, [*running.values()])


def pids(home: Home) -> dict[str, int]:
    return {name: processes.read_record(home, name).pid for name in servers.WANTED_PORTS}


def test_a_backup_of_an_earlier_version_is_restored_with_its_databases_which_are_brought_up_to_date(home):
    running, _ = up(home)
    store = store_of(home, running)
    assert {listed.uri: store.read_bytes(listed.uri) for listed in store.list(f"{SAMPLE_STORE}/")} == version_before.objects()
    address, query = f"{running['mlflow'].address}/api/2.0/mlflow/model-versions/get", {"name": version_before.MODEL, "version": 1}
    version = httpx.get(address, params=query, trust_env=False)
    assert version.json()["model_version"]["description"] == "of the version before"
    with AirflowApi(running["airflow"].address, Credentials.load(home).airflow_password) as api:
        assert api._get(f"/pools/{version_before.POOL}")["slots"] == 7


def test_a_second_start_reuses_what_is_well_and_the_state_of_each_server_is_told(home):
    before = pids(home)
    _, announced = up(home)
    assert pids(home) == before
    assert all("already running" in line for line in announced)
    states = {(state.server.name, state.is_running, state.is_healthy) for state in supervise.running(home)}
    assert states == {(name, True, True) for name in servers.WANTED_PORTS}


def test_every_server_listens_on_this_machine_alone(home):
    listening = []
    for process in (process for name in servers.WANTED_PORTS for process in processes.members(home, name)):
        # A child that parsed a DAG may have ended by now.
        with suppress(psutil.NoSuchProcess):
            listening += [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    expected = {port for name in servers.WANTED_PORTS for port in processes.read_record(home, name).ports.values()}
    assert {address.port for address in listening} == expected


def test_the_store_has_volumes_for_many_buckets_however_full_the_disk_is(home):
    ports = processes.read_record(home, "store").ports
    shell = [f"{sysconfig.get_path('scripts')}/weed", "shell", f"-master=127.0.0.1:{ports['store_master']}.{ports['store_master_grpc']}"]
    told = subprocess.run(shell, input="volume.list\n", capture_output=True, text=True, timeout=60).stdout
    assert int(re.search(r"volume:\d+/(\d+)", told)[1]) >= 10_000


def test_a_web_page_in_a_browser_of_this_machine_neither_reads_nor_deletes_objects(home):
    running, _ = up(home)
    bucket = "retake-mlflow"
    store_of(home, running).write_bytes(f"s3://{bucket}/film.mp4", b"film")
    ports = processes.read_record(home, "store").ports
    for name in ("store_filer", "store_master"):
        for path in (f"buckets/{bucket}/film.mp4", f"col/delete?collection={bucket}"):
            assert not httpx.get(f"http://127.0.0.1:{ports[name]}/{path}", trust_env=False).is_success
    for method in ("GET", "POST", "DELETE"):
        assert httpx.request(method, f"http://127.0.0.1:{ports['store_volume']}/1,ff00000001", trust_env=False).status_code == 401
    assert store_of(home, running).read_bytes(f"s3://{bucket}/film.mp4") == b"film"


def test_mlflow_keeps_artifacts_in_the_store_and_refuses_another_host_name(home):
    running, _ = up(home)
    artifact = "api/2.0/mlflow-artifacts/artifacts/0/note.txt"
    reply = httpx.put(f"{running['mlflow'].address}/{artifact}", content=b"kept", trust_env=False)
    assert reply.status_code == 200
    assert store_of(home, running).read_bytes("s3://retake-mlflow/artifacts/0/note.txt") == b"kept"
    reply = httpx.get(f"{running['mlflow'].address}/api/2.0/mlflow/experiments/get?experiment_id=0", headers={"Host": "evil.example"})
    assert reply.status_code == 403


def test_a_person_who_was_added_logs_in(home):
    running, _ = up(home)
    login = {"username": "anna", "password": people(home)["anna"].password}
    assert httpx.post(f"{running['airflow'].address}/auth/token", json=login, trust_env=False).status_code == 201


def test_the_chain_runs_through_the_real_scheduler(home):
    running, _ = up(home)
    output = io.StringIO()
    choices = Choices(store="s3://retake-test", sources=["/videos"], options={})
    with ready_airflow(home, list(running.values())) as api:
        first, *later = follow.follow_chain(api, choices, PlainScreen(output))
        work = first.first("work")
        assert [run.ref.dag_id for run in (first, *later)] == list(CHAIN)
        assert "ingest_videos  work: success" in output.getvalue()
        assert api.result(first.ref, work) == {"store": "s3://retake-test"}
        assert "the store is s3://retake-test" in api.log_lines(first.ref, work)


def test_a_winner_is_retrained_once_also_if_the_task_that_started_it_is_cleared(home):
    running, _ = up(home)
    screen = PlainScreen(io.StringIO())
    with ready_airflow(home, list(running.values())) as api:
        search = api.trigger("search", {})
        assert follow.follow_run(api, search, screen, []).first("retrain").state == "success"
        cleared = {"dry_run": False, "dag_run_id": search.run_id, "task_ids": ["retrain"], "only_failed": False}
        api._call("POST", "/dags/search/clearTaskInstances", json=cleared)
        assert follow.follow_run(api, search, screen, []).first("retrain").state == "skipped"
        run = follow.follow_run(api, RunRef(dag_id="retrain", run_id="search__0123"), screen, [])
        assert api.result(run.ref, run.first("work")) == {"store": "s3://won"}
        started = [run["dag_run_id"] for run in api._get("/dags/retrain/dagRuns")["dag_runs"]]
        assert [run_id for run_id in started if run_id.startswith("search__")] == ["search__0123"]


def test_a_run_at_work_is_backed_up_and_cancel_ends_it_with_its_process(home, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAKE_HOME", str(home.root))
    monkeypatch.setattr(commands, "find_stack", lambda: pytest.fail("a stack that a person runs was looked for"))
    running, _ = up(home)
    worker = home.root / "airflow" / "worker.pid"
    with ready_airflow(home, list(running.values())) as api:
        run = api.trigger("slow", {})
        deadline = time.monotonic() + 200
        while not (worker.exists() and worker.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process = psutil.Process(int(worker.read_text()))
        assert commands.main(["backup", str(tmp_path)]) == 0
        assert commands.main(["cancel"]) == 0
        assert api.run_state(run) == "failed"
        assert api.active_runs() == []
    process.wait(60)
    store = store_of(home, running)
    backups, snapshot = verified(str(tmp_path), None, lambda: store)
    listed = {listed.uri: listed.etag for bucket in store.buckets() for listed in store.list(f"{bucket}/")}
    assert {kept.uri: kept.etag for kept in snapshot.objects} == listed
    restore_files(backups, snapshot, {"airflow": tmp_path / "airflow.db"}, replace=False)
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT state FROM dag_run WHERE run_id = ?", [run.run_id]).fetchall() == [("running",)]


def test_a_killed_store_is_started_again_with_its_data(home):
    running, _ = up(home)
    store_of(home, running).write_bytes("s3://retake-mlflow/kept", b"still here")
    before = pids(home)
    os.kill(before["store"], signal.SIGKILL)
    running, announced = up(home)
    assert {name for name, pid in pids(home).items() if pid != before[name]} == {"store"}
    assert store_of(home, running).read_bytes("s3://retake-mlflow/kept") == b"still here"
    assert any(line.startswith("object store: ready") for line in announced)


def test_a_server_that_cannot_start_shows_the_end_of_its_log(home, tmp_path, monkeypatch):
    broken = Home(tmp_path / "broken")
    monkeypatch.setenv("RETAKE_PORT_OFFSET", str(PORT_OFFSET + 40))
    monkeypatch.setattr(servers, "_program", lambda name: "/bin/cat")
    try:
        with pytest.raises(Unavailable, match=r"(?s)object store ended at its start.*store\.log.*invalid option"):
            supervise.up(broken, lambda _: None, ("store",))
    finally:
        supervise.down(broken, lambda _: None)


def test_no_secret_is_in_a_file_that_others_can_read(home):
    passwords = (*Credentials.load(home).model_dump().values(), people(home)["anna"].password)
    secrets = [password.encode() for password in passwords]
    assert not home.root.stat().st_mode & 0o077
    texts = [path for path in home.root.rglob("*") if path.is_file() and path.suffix in {".json", ".log", ".py", ".cfg"}]
    leaking = [p for p in texts if p.stat().st_mode & 0o077 and any(s in Path(p).read_bytes() for s in secrets)]
    assert leaking == []


def test_stop_ends_everything(home):  # the last of this file, for it ends what the others use
    _count_airflow_runs(home)
    supervise.down(home, lambda _: None)
    assert [p for name in servers.WANTED_PORTS for p in processes.members(home, name)] == []
    assert not any(state.is_running for state in supervise.running(home))


def step_environment(folder):
    home = Home(folder / "home")
    return servers.step_environment(home, Credentials.load_or_create(home), servers.WANTED_PORTS)


@pytest.mark.parametrize(("num_gpus", "chosen", "gpu"), [(0, "", "off"), (1, "", "auto"), (0, "auto", "auto")])
def test_airflow_knows_whether_there_is_a_gpu_unless_a_person_says_so(tmp_path, monkeypatch, num_gpus, chosen, gpu):
    monkeypatch.setattr(servers, "num_gpus", lambda: num_gpus)
    monkeypatch.setenv("RETAKE_GPU", chosen)
    assert step_environment(tmp_path)["RETAKE_GPU"] == gpu


def test_steps_cache_in_the_home_unless_a_person_chooses_a_disk(tmp_path, monkeypatch):
    assert step_environment(tmp_path)["RETAKE_CACHE_DIR"] == str(tmp_path / "home" / "cache")
    monkeypatch.setenv("RETAKE_CACHE_DIR", "/a/larger/disk")
    assert step_environment(tmp_path)["RETAKE_CACHE_DIR"] == "/a/larger/disk"
