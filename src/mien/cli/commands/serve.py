"""``mien serve``: images, videos and live streams over HTTP."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from mien.cli import options
from mien.cli.options import flag, option
from mien.errors import UsageError

Data = Annotated[
    Path | None, option("FOLDER", "Folder of jobs and queue.", default="the user's data folder")
]
Redis = Annotated[
    str | None,
    option("URL", "Queue in Redis, for several workers; reads MIEN_REDIS.", envvar="MIEN_REDIS"),
]


def serve(
    host: Annotated[str, option("ADDRESS", "Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, option("N", "Port; 0 for any that is free.", min=0, max=65535)] = 8000,
    data: Data = None,
    token_file: Annotated[
        Path | None, option("FILE", "File with the token; or set MIEN_TOKEN.")
    ] = None,
    without_token: Annotated[
        bool, flag("Serve other machines without a token.", "--without-token")
    ] = False,
    allow_origin: Annotated[
        list[str] | None, option("URL", "Web pages that may call the service; repeatable.")
    ] = None,
    videos: Annotated[
        Path | None, option("FOLDER", "Folder whose videos may be named by path.")
    ] = None,
    webhook_host: Annotated[
        list[str] | None, option("HOST", "Server that webhooks may call; repeatable.")
    ] = None,
    redis: Redis = None,
    no_worker: Annotated[
        bool, flag("Only take jobs; `mien worker` runs elsewhere.", "--no-worker")
    ] = False,
    keep: Annotated[float, option("HOURS", "Delete jobs this long after their end.", min=0)] = 24,
    max_bytes: Annotated[int, option("N", "Largest request with images.", min=1)] = 64_000_000,
    max_video_bytes: Annotated[int, option("N", "Largest video.", min=1)] = 2_000_000_000,
    max_frames: Annotated[int, option("N", "Longest video, in frames.", min=1)] = 1_000_000,
    max_jobs: Annotated[int, option("N", "Unfinished jobs at once.", min=1)] = 100,
    max_pixels: options.MaxPixels = None,
) -> None:
    """Serve images, video jobs and live streams over HTTP.

    \b
    Examples:
      mien serve
      mien serve --host 0.0.0.0 --token-file token.txt
    """
    from mien.cli.console import note, verbosity
    from mien.cli.exit_codes import extra

    with extra("serve"):
        from mien.service.server import check_reach
        from mien.service.server import serve as run
        from mien.service.settings import Limits, ServiceSettings

    limits = Limits(
        image_bytes=max_bytes,
        video_bytes=max_video_bytes,
        frames=max_frames,
        waiting_jobs=max_jobs,
    )
    folder = data_folder(data)
    settings = ServiceSettings(
        folder,
        _token(token_file),
        host,
        tuple(allow_origin or ()),
        None if videos is None else _folder(videos),
        redis,
        keep,
        limits,
        tuple(webhook_host or ()),
    )
    check_reach(settings, without_token)
    show_log(verbosity.verbose)
    worker = [sys.executable, "-P", "-m", "mien", "worker", "--data", str(folder), "--beside"]
    worker += ["--max-frames", str(max_frames)]
    worker += ["--redis", redis] if redis else []
    worker += ["--max-pixels", str(max_pixels)] if max_pixels else []
    run(settings, port, [] if no_worker else worker, lambda url: note(f"serving at {url}"))


def data_folder(data: Path | None) -> Path:
    """The data folder that was chosen, or that of the user."""
    if data is not None:
        return data.absolute()
    from platformdirs import user_data_path

    return user_data_path("mien") / "service"


def show_log(verbose: bool) -> None:
    """Send the log of the service to standard error: one line per request with --verbose."""
    import logging

    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("mien.service").setLevel(level)


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(f"{path} is no folder: --videos needs one that exists.")
    return path


def _token(file: Path | None) -> str | None:
    """The token of a file, or of the environment.

    Raises:
        UsageError: it is empty, or no text.
    """
    text = os.environ.get("MIEN_TOKEN")
    if file is not None:
        try:
            text = file.read_text("ascii")
        except UnicodeDecodeError as error:
            raise UsageError(f"{file} is no token: write one of ASCII characters.") from error
    if text is None:
        return None
    if len(text.strip()) < 8:
        raise UsageError("the token has fewer than 8 characters: choose a longer one.")
    return text.strip()
