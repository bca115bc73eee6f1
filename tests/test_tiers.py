"""What no marker says, a test cannot do."""

from __future__ import annotations

import subprocess

import pytest

from conftest import run_cli

pytest_plugins = ("pytester",)


def test_a_pure_test_starts_no_program() -> None:
    with pytest.raises(AssertionError, match="no marker says so"):
        subprocess.run(["true"], check=True)


def test_a_pure_test_starts_no_cluster() -> None:
    with pytest.raises(AssertionError, match="no marker says so"):
        run_cli("local", "up")


def test_a_test_that_uses_the_cluster_is_marked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def local_cluster():
            pytest.fail("the cluster was started")

        def test_something(local_cluster):
            pass
        """
    )
    done = pytester.runpytest_inprocess("-p", "tests.support.tiers", "-p", "no:asyncio")
    done.stderr.fnmatch_lines("*test_something uses the cluster: mark it integration*")
