"""The conftest of upstream's tests with this package's classes; test_upstream.py puts it there."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytest_jupyter.jupyter_server",)

MOCKS = "jupyter_scheduler.tests.mocks"


@pytest.fixture
def jp_server_config(jp_server_config):
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_scheduler": True}},
        "SchedulerApp": {
            "db_url": "sqlite://",
            "scheduler_class": "jupyter_kueue.scheduler.KueueScheduler",
            # Two tests expect what the mocks of upstream's own conftest answer.
            "environment_manager_class": f"{MOCKS}.MockEnvironmentManager",
            "job_files_manager_class": "jupyter_kueue.scheduler.KueueJobFilesManager",
        },
        "BaseScheduler": {"execution_manager_class": f"{MOCKS}.MockExecutionManager"},
    }
