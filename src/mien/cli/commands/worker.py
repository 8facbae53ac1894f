"""``mien worker``: analyzes the videos that a service has accepted."""

from __future__ import annotations

from typing import Annotated

from mien.cli import options
from mien.cli.commands.serve import Data, Redis, data_folder, show_log
from mien.cli.options import flag, option


def worker(
    data: Data = None,
    redis: Redis = None,
    beside: Annotated[
        bool, flag("End with the process that started this one.", "--beside")
    ] = False,
    max_frames: Annotated[int, option("N", "Longest video, in frames.", min=1)] = 1_000_000,
    max_pixels: options.MaxPixels = None,
) -> None:
    """Analyze the videos of a service, one at a time.

    \b
    Examples:
      mien worker --data /srv/mien
      mien worker --data /srv/mien --redis redis://queue:6379
    """
    from mien.cli.console import verbosity
    from mien.cli.exit_codes import extra

    with extra("serve"):
        from mien.service.settings import Limits, ServiceSettings
        from mien.service.worker import Worker, end_with_parent

    show_log(verbosity.verbose)
    if beside:
        end_with_parent()
    Worker(ServiceSettings(data_folder(data), redis=redis, limits=Limits(frames=max_frames))).run()
