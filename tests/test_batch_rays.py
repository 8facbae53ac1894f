"""The same rows from a Ray cluster, also when one of its nodes dies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from helpers.batches import equal, merged, photos, run

from mien.batch import BatchFolder, BatchOptions, Status, begin, manifest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'mien[ray]'")


@pytest.mark.slow
def test_a_node_that_dies_costs_its_shards_only(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray
    from ray.cluster_utils import Cluster

    from mien.batch.rays import on_ray

    monkeypatch.setattr(manifest, "IMAGES", 40)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "src"))
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    folder = photos(tmp_path / "in", photo, 400)
    out = BatchFolder(tmp_path / "out")
    plan, _ = begin(out, [str(folder)], BatchOptions())
    # A node that does not answer is dead after some seconds, not after a minute.
    health = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3}
    head = {"num_cpus": 1, "_system_config": health}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        second = cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        done = 0
        for event in on_ray(out, plan.options, range(plan.shards)):
            done += event.record is not None
            if done == 2:
                cluster.remove_node(second, allow_graceful=False)
    finally:
        ray.shutdown()
        end: Any = cluster.shutdown
        end()
    assert not Status.of(out, plan).missing
    run(tmp_path / "whole", folder)
    equal(
        merged(tmp_path / "out", tmp_path / "a.parquet"),
        merged(tmp_path / "whole", tmp_path / "b.parquet"),
    )
    assert os.environ.get("RAY_ADDRESS") is None
