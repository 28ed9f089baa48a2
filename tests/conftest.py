"""The order of all tests: files that take longest come first, so that at the end of a parallel run only short ones are left."""

import pytest

_LONGEST_FIRST = (
    "runtime/training/test_processes.py",
    "runtime/evaluation/test_evaluation.py",
    "runtime/console/test_strip.py",
    "runtime/training/test_demos.py",
    "runtime/console/test_links.py",
    "models/test_compile.py",
    "models/test_graphs.py",
    "runtime/training/test_train.py",
    "runtime/bench/test_bench_models.py",
    "runtime/console/test_reading.py",
    "runtime/console/test_sessions.py",
    "drivers/test_driver_contracts.py",
    "runtime/host/test_worker_pool.py",
    "runtime/session/test_session_damage.py",
    "runtime/replay/test_hostile_messages.py",
    "runtime/doctor/test_doctor.py",
    "drivers/test_piper.py",
    "runtime/policy/test_weights.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """By file; within one, and among the others, the order stays."""
    folder = config.rootpath / "tests"
    places = {folder / name: place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
