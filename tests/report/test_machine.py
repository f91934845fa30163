from tasks.report.machine import machine_rows


def test_bytes_are_sizes_and_versions_stand_together():
    hardware = {"device": "cpu", "memory_bytes": 8 * 2**30, "num_cores": 2, "version.torch": "2.13.0", "version.timm": "1.0.20"}
    assert machine_rows(hardware) == [
        ("device", "cpu"),
        ("memory", "8 GiB"),
        ("num cores", "2"),
        ("versions", "torch 2.13.0, timm 1.0.20"),
    ]


def test_an_unknown_machine_has_no_rows():
    assert machine_rows({}) == []
