import signal
import stat
import subprocess
import sys

import pytest

from tasks.errors import BadConfiguration
from tasks.local.home import Credentials, Home

HOLD = """
import sys
from pathlib import Path
from tasks.local.home import Home
with Home(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_credentials_stay_the_same_differ_between_homes_and_are_readable_by_this_user_alone(home, tmp_path):
    first = Credentials.load_or_create(home)
    assert stat.S_IMODE(home.credentials_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert Credentials.load_or_create(home) == first
    other = Credentials.load_or_create(Home(tmp_path / "other"))
    assert not set(first.model_dump().values()) & set(other.model_dump().values())


def test_missing_and_damaged_credentials_are_named(home):
    with pytest.raises(BadConfiguration, match="make run"):
        Credentials.load(home)
    home.credentials_file.write_text('{"store_access_key": ')
    with pytest.raises(BadConfiguration, match=r"credentials\.json is damaged"):
        Credentials.load_or_create(home)


def test_a_second_command_is_refused_while_one_is_at_work_and_a_killed_one_leaves_no_lock(home):
    with home.lock(), pytest.raises(BadConfiguration, match="another `make run`"), home.lock():
        pytest.fail("two commands held the lock")
    command = [sys.executable, "-c", HOLD, str(home.root)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BadConfiguration, match=f"process {holder.pid}"), home.lock():
            pytest.fail("two commands held the lock")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with home.lock():
        pass
