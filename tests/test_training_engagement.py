"""Engagement from labeled clips to a table: trained, exported, run on a known answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.command import mien
from helpers.engagement import FEATURES, SHA, blank_networks, engagement_timeline, moving_features
from helpers.videos import write_video

from mien.engagement import EngagementCard, EngagementModel, engagement
from mien.errors import InputError, UsageError
from mien.media.images import read_image
from mien.results.tables import read_table
from mien.timeline.concat import join
from mien.timeline.timeline import Timeline

pytest.importorskip("torch", reason="PyTorch is not installed (extra train)")
pytest.importorskip("onnx", reason="onnx is not installed (extra train)")

from mien.training.engagement.data import (
    Clips,
    LabeledClip,
    divide,
    labeled,
    parse_levels,
    read_clips,
)
from mien.training.engagement.export import write_networks
from mien.training.engagement.metrics import measure
from mien.training.engagement.train import Plan, train_engagement
from mien.training.trained import Trained

LEVELS = (0.0, 1 / 3, 2 / 3, 1.0)
QUICK = Plan(window_s=3.0, steps=32, hidden=64, least=200, passes=1, batch=24, lr=5e-3)


def clip(
    group: int, level: float, rng: np.random.Generator, seconds: float = 6.0, **known: str
) -> LabeledClip:
    name = f"{group}-{level:.2f}.mp4"
    film = engagement_timeline({1: moving_features(level, seconds, rng)}, source=name)
    return labeled(film, level, {"path": name, "group": str(group), **known})


def clips(people: int, seed: int = 3, levels: tuple[float, ...] = LEVELS) -> Clips:
    """Two clips of each person, of different levels."""
    rng = np.random.default_rng(seed)
    chosen = [rng.choice(levels, 2, replace=False) for _ in range(people)]
    made = tuple(clip(who, level, rng) for who, pair in enumerate(chosen) for level in pair)
    return Clips(made, set(levels) <= {0.0, 1.0}, "acted", SHA)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained[EngagementCard]:
    return train_engagement(clips(40), tmp_path_factory.mktemp("model") / "net.onnx", QUICK)


@pytest.mark.slow
def test_predictions_for_new_people_follow_their_movement(trained: Trained[EngagementCard]) -> None:
    assert trained["mse"].value < trained["mse_of_mean"].value / 4
    assert trained["mse_gain"].low > 0.5
    assert trained["accuracy"].value > trained["accuracy_of_commonest"].value + 0.2
    assert trained["uar"].value > 0.5
    assert trained["accuracy"].people == 12
    model = EngagementModel(trained.path)
    assert model.networks == 6
    assert model.card.says == "level"
    assert model.card.figures["mse"] == pytest.approx(trained["mse"].value, abs=1e-4)
    rng = np.random.default_rng(99)
    film = engagement_timeline({k: moving_features(k / 6, 8, rng) for k in range(1, 7)})
    table = engagement(film, model, purpose="A test of what the model has learned.").table
    means = table[table["track_id"].notna()].groupby("track_id")["engagement"].mean()
    assert np.corrcoef(means, np.arange(1, 7))[0, 1] > 0.9
    group = table[table["track_id"].isna()]
    assert group["engagement"].mean() == pytest.approx(3.5 / 6, abs=0.12)


@pytest.mark.slow
def test_uncertainties_hold_for_strangers(trained: Trained[EngagementCard]) -> None:
    """Of people never seen, about two thirds lie within one and nearly all within two."""
    held_out = clips(60, seed=77).clips
    figures = {f.name: f for f in measure(EngagementModel(trained.path), clips(40).clips, held_out)}
    assert 0.5 < figures["within_1"].value < 0.95
    assert figures["within_2"].value > 0.88


@pytest.mark.slow
def test_two_classes_and_a_given_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    made = [
        clip(who, float(who % 2), rng, split="test" if who >= 20 else "train") for who in range(30)
    ]
    done = train_engagement(Clips(tuple(made), True), tmp_path / "two.onnx", QUICK)
    assert done["accuracy"].count == 10
    assert done["accuracy"].value >= 0.9
    assert done["accuracy_of_commonest"].value == 0.5
    assert EngagementModel(done.path).card.says == "probability"
    assert "the list's split" in done.card.protocol[0]
    assert [path.name for path in tmp_path.iterdir()] == ["two.onnx"], "no draft is left behind"


@pytest.mark.slow
def test_the_metrics_show_that_there_is_nothing_to_learn(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    shuffled = clips(24)
    levels = rng.permutation([c.level for c in shuffled.clips])
    made = [replace(c, level=float(v)) for c, v in zip(shuffled.clips, levels, strict=True)]
    done = train_engagement(replace(shuffled, clips=tuple(made)), tmp_path / "no.onnx", QUICK)
    assert done["mse_gain"].low < 0
    residual = EngagementModel(done.path).card.residual
    assert residual is not None
    assert residual > 0.25, "what cannot be known is uncertain"


@pytest.mark.slow
def test_the_same_seed_is_the_same_model(tmp_path: Path) -> None:
    plan, data = replace(QUICK, least=30, hidden=8), clips(10)
    said = []
    for name in ("a", "b"):
        path = train_engagement(data, tmp_path / f"{name}.onnx", plan).path
        said.append(EngagementModel(path).predict(np.ones((1, 32, FEATURES), np.float32)))
    assert said[0] == pytest.approx(said[1], abs=1e-6)


def test_clips_that_cannot_be_used_are_listed_and_the_rest_is_learned(tmp_path: Path) -> None:
    data, rng = clips(10), np.random.default_rng(1)
    short = clip(50, 0.0, rng, seconds=2)
    lost = replace(clip(51, 1.0, rng), span=(0.0, 90.0), name="lost.mp4")
    gone = replace(lost, starts=lost.starts[:9], ends=lost.ends[:9], features=lost.features[:9])
    plan = replace(QUICK, least=20, hidden=8)
    more = replace(data, clips=(*data.clips, short, gone), problems=("x.mp4: is broken.",))
    done = train_engagement(more, tmp_path / "net.onnx", plan)
    assert done.left_out == (
        "x.mp4: is broken.",
        "50-0.00.mp4: lasts 2.0 s, shorter than a window of 3.0 s",
        "lost.mp4: no window shows the person for more than half of it",
    )


def test_a_table_of_several_videos_is_no_clip() -> None:
    rng = np.random.default_rng(2)
    both = join(
        [
            engagement_timeline({1: moving_features(0.5, 4.0, rng)}, source=name)
            for name in ("a.mp4", "b.mp4")
        ]
    )
    with pytest.raises(InputError, match="a table of 2 videos: give one of each"):
        labeled(both, 0.5, {"path": "both.parquet"})


def test_an_empty_split_is_an_error() -> None:
    rng = np.random.default_rng(2)
    some = [clip(1, 0.0, rng, split="train"), clip(2, 1.0, rng, split="foo")]
    with pytest.raises(InputError, match="'foo': say train or test for each"):
        divide(some, 0.3, 0)


def test_too_few_people_or_one_level_is_one_sentence(tmp_path: Path) -> None:
    few = clips(5)
    with pytest.raises(InputError, match="clips of at least 8 people"):
        train_engagement(few, tmp_path / "net.onnx")
    short = Clips(tuple(clip(k, 0.0, np.random.default_rng(k), seconds=2) for k in range(9)), False)
    with pytest.raises(InputError, match=r"got 0 and 0. Left out: 0-0.00.mp4: lasts 2.0 s"):
        train_engagement(short, tmp_path / "net.onnx")
    flat = replace(few, clips=tuple(clip(k, 0.5, np.random.default_rng(k)) for k in range(12)))
    with pytest.raises(InputError, match="have the same level"):
        train_engagement(flat, tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="lasts more than 0 seconds"):
        Plan(window_s=-1)
    assert not list(tmp_path.iterdir())


def test_people_are_never_on_both_sides() -> None:
    made = clips(20).clips
    kept, held = divide(made, 0.3, seed=0)
    assert not {c.group for c in kept} & {c.group for c in held}
    assert len({c.group for c in held}) == 6
    spread = [np.mean([c.level for c in side]) for side in (kept, held)]
    assert abs(spread[0] - spread[1]) < 0.15, "both sides have all levels"
    mixed = [replace(c, split="train" if i % 2 else "test") for i, c in enumerate(made)]
    with pytest.raises(InputError, match="is in train and in test"):
        divide(mixed, 0.3, seed=0)


def test_levels_are_numbers_or_names() -> None:
    assert parse_levels(["engaged", "Distracted"]) == ([1.0, 0.0], True)
    assert parse_levels(["engaged", "barely_engaged"]) == ([2 / 3, 1 / 3], False)
    assert parse_levels(["very low", "high"]) == ([0.0, 2 / 3], False)
    assert parse_levels(["0.33", "1"]) == ([0.33, 1.0], False)
    assert parse_levels(["0", "1"]) == ([0.0, 1.0], True)
    for wrong in (["2", "0"], ["engaged", "0.5"], ["bored"], [""], ["nan"]):
        with pytest.raises(UsageError, match="a level is a number from 0 to 1"):
            parse_levels(wrong)


def test_a_table_of_clips_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    two = engagement_timeline(
        {1: moving_features(0.0, 6, rng)[:80], 2: moving_features(1.0, 6, rng)}
    )
    two.save(tmp_path / "two.parquet")
    engagement_timeline({}, frames=50).save(tmp_path / "empty.parquet")
    table = tmp_path / "clips.csv"
    table.write_text(
        "path;level;subject;person\ntwo.parquet;1;ann;\ntwo.parquet;0;bob;1\n"
        "empty.parquet;1;cy;\nnone.parquet;1;di;\ntwo.parquet;1;ed;7\n"
    )
    found = read_clips(table, Timeline.load)
    assert [(c.group, c.level, len(c.starts)) for c in found.clips] == [
        ("ann", 1.0, 150),
        ("bob", 0.0, 80),
    ]
    assert (found.model, found.sha256, found.classes) == ("acted", SHA, True)
    assert "no face was found" in found.problems[0]
    assert "none.parquet" in found.problems[1]
    assert "there is no person 7" in found.problems[2]
    assert found.clips[0].span == pytest.approx((0.0, 6.0))
    engagement_timeline({1: moving_features(1.0, 6, rng)}, sha="cd" * 32).save(
        tmp_path / "other.parquet"
    )
    table.write_text("path,level\ntwo.parquet,1\nother.parquet,0\n")
    with pytest.raises(UsageError, match="are of different models"):
        read_clips(table, Timeline.load)
    table.write_text("film,mood\ntwo.parquet,1\n")
    with pytest.raises(
        InputError, match=r"needs a row for each video with .* it has 1 rows with film"
    ):
        read_clips(table, Timeline.load)
    with pytest.raises(InputError, match="no such file"):
        read_clips(tmp_path / "nothing.csv", Timeline.load)


@pytest.mark.slow
def test_from_the_command_line_end_to_end(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    rows = ["path,level,group"]
    for who in range(18):
        for level in (0.0, 1.0):
            name = f"{who}-{level:.0f}.parquet"
            engagement_timeline({1: moving_features(level, 6, rng)}).save(tmp_path / name)
            rows.append(f"{name},{'engaged' if level else 'distracted'},{who}")
    rows.append("gone.mp4,engaged,99")
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    model = tmp_path / "engaged.onnx"
    done = mien("train-engagement", tmp_path / "clips.csv", "-o", model)
    message, figures = done.stderr, done.stdout
    assert done.exit_code == 0, message
    assert figures.splitlines()[-1] == str(model)
    assert "left out: gone.mp4" in message
    assert "mse_of_mean" in figures
    assert "do not use it" not in message
    table, out = tmp_path / "film.parquet", tmp_path / "out.parquet"
    engagement_timeline({k: moving_features(float(k > 2), 8, rng) for k in range(6)}).save(table)
    done = mien("engagement", table, "--model", model, "-o", out)
    assert done.exit_code == 0, done.stderr
    assert "4 of 4 windows have a value for the group" in done.stderr
    assert "Art. 5(1)(f)" in done.stderr
    values, settings = read_table(out)
    assert values["engagement"].mean() == pytest.approx(0.5, abs=0.2)
    assert values["track_id"].isna().all()
    assert settings["says"].startswith("probability")


@pytest.mark.slow
def test_a_handful_of_people_has_no_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two people held out: it used to save "100% of it, 95 % interval 100% to 100%"."""
    from mien.cli.output.training import show_trained

    done = train_engagement(clips(8, levels=(0.0, 1.0)), tmp_path / "few.onnx", QUICK)
    assert done.figures == ()
    card = EngagementModel(done.path).card
    assert card.figures == {"clips": 4, "people": 2}
    assert card.residual is not None
    assert card.residual > 0.15, "six people do not make a level certain"
    show_trained(done)
    said = capsys.readouterr().err
    assert "people held out: 2; figures of fewer than 5" in said
    assert "%" not in said.split("protocol:")[0]
    table, rng = tmp_path / "film.parquet", np.random.default_rng(0)
    engagement_timeline({k: moving_features(float(k > 2), 8, rng) for k in range(6)}).save(table)
    applied = mien("engagement", table, "--model", done.path, "-o", tmp_path / "out.parquet")
    assert applied.exit_code == 0, applied.stderr
    assert "do not rely on these values (few.onnx: people held out: 2" in applied.stderr


@pytest.mark.slow
def test_intervals_over_people_are_not_of_clips(trained: Trained[EngagementCard]) -> None:
    accuracy, gain = trained["accuracy"], trained["mse_gain"]
    assert accuracy.low < accuracy.value <= accuracy.high
    assert accuracy.high - accuracy.low > 0.1
    assert gain.low < gain.value < gain.high


@pytest.mark.slow
def test_wrong_use_of_the_command_is_one_sentence(tmp_path: Path, photo: Path) -> None:
    model = tmp_path / "net.onnx"
    write_networks(blank_networks(FEATURES), EngagementCard("net", size=FEATURES), model)
    alone = tmp_path / "alone.parquet"
    engagement_timeline({1: moving_features(1.0, 6, np.random.default_rng(0))}).save(alone)
    out = tmp_path / "out.csv"
    for more, code, message in (
        ([alone], 3, "0 of 2 windows have a value for the group; 2: fewer than 5 people"),
        ([alone, "--person"], 2, "--person and --purpose go together"),
        ([alone, "--person", "--purpose", " "], 2, "needs a purpose, one sentence"),
        ([photo], 2, "is neither a video nor a table"),
        ([tmp_path / "none.parquet"], 3, "no such file"),
    ):
        done = mien("engagement", *more, "--model", model, "-o", out, "--overwrite")
        assert done.exit_code == code, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    done = mien(
        "engagement", alone, "--model", model, "-o", out,
        "--person", "--purpose", "A study with informed consent of this person.", "--overwrite",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert out.read_text().count("informed consent") == 2
    done = mien("train-engagement", tmp_path / "none.csv", "-o", tmp_path / "x.onnx")
    assert (done.exit_code, "no such file" in done.stderr) == (3, True)
    done = mien("train-engagement", tmp_path / "none.csv", "-o", tmp_path / "x.h5")
    assert (done.exit_code, "must end in .onnx, got x.h5" in done.stderr) == (2, True)


@pytest.mark.slow
def test_a_video_of_five_faces_from_pixels_to_a_value(tmp_path: Path, photo: Path) -> None:
    """The default model's features of a moving row of five portraits."""
    face = read_image(photo)[:260, 60:320]
    rng = np.random.default_rng(0)
    row = np.concatenate([face[::2, ::2]] * 5, axis=1)
    frames = [np.roll(row, int(rng.integers(0, 3)), axis=0) for _ in range(8)]
    film = write_video(tmp_path / "five.mp4", [f[:130, :650] for f in frames], fps=8)
    model = tmp_path / "net.onnx"
    write_networks(blank_networks(1024), EngagementCard("net", size=1024), model)
    out = tmp_path / "out.parquet"
    done = mien("engagement", film, "--model", model, "-o", out, "--window", 1)
    assert done.exit_code == 0, done.stderr
    table = pd.read_parquet(out)
    assert table["n_people"].tolist() == [5]
    assert table["engagement"].tolist() == pytest.approx([0.5])
    write_networks(
        blank_networks(1024), EngagementCard("net", size=1024, model_sha256="ab" * 32), model
    )
    done = mien("engagement", film, "--model", model, "-o", out, "--window", 1)
    assert (done.exit_code, "was trained on 1024 features of" in done.stderr) == (2, True)
