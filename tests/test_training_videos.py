"""Video classifiers from generated features with a known answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import InputError, InputNotFoundError, ModelError, UsageError
from mien.timeline.classifier import VideoCard, VideoModel
from mien.types import FloatArray

pytest.importorskip("sklearn", reason="scikit-learn (the extra video) is not installed")
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC

from mien.training.trained import Trained
from mien.training.videos import cross_validation, export
from mien.training.videos.data import VideoList, read_videos
from mien.training.videos.features import FeatureCache, VideoFeatures
from mien.training.videos.svm import Kernel, KernelMatrix, normalized
from mien.training.videos.train import train_videos

D = 6
LABELS = ("anger", "happiness", "sadness")


class Memory(FeatureCache):
    """Films whose descriptors are known already; without values, one without a face."""

    def __init__(self, values: Sequence[FloatArray | None], sha: Sequence[str] = ()) -> None:
        self._values = values
        self._sha = sha or ["ab" * 32] * len(values)
        self.seen: list[str] = []

    def compute(self, path: Path, kind: str) -> VideoFeatures:
        self.seen.append(path.name)
        number = int(path.stem)
        value, sha = self._values[number], self._sha[number]
        if value is None:
            return VideoFeatures(
                {}, {kind: f"no face was found in {path}."}, {kind: 0}, "stand-in", sha
            )
        return VideoFeatures(
            {kind: value.astype(np.float32)}, {kind: ""}, {kind: 0}, "stand-in", sha
        )


def listed(
    truth: Sequence[str], groups: Sequence[int] | None = None, parts: Sequence[str] | None = None
) -> VideoList:
    names = tuple(f"{i}.mp4" for i in range(len(truth)))
    together = names if groups is None else tuple(map(str, groups))
    return VideoList(
        Path("films.csv"),
        names,
        tuple(map(Path, names)),
        tuple(truth),
        together,
        tuple(parts or [""] * len(truth)),
    )


def classes(rng: np.random.Generator, count: int, far: float = 1.0) -> tuple[FloatArray, list[str]]:
    """Descriptors around three places, so far from each other as noise is wide times `far`."""
    places = np.eye(3, 4 * D) * far * 4 + 3
    truth = rng.integers(0, 3, count)
    values = places[truth] + rng.normal(0, 1, (count, 4 * D))
    return values.astype(np.float32), [LABELS[k] for k in truth]


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Trained[VideoCard]]:
    def run(
        values: Sequence[FloatArray | None], films: VideoList, **known: object
    ) -> Trained[VideoCard]:
        return train_videos(films, tmp_path / "mood.onnx", Memory(values), **known)  # type: ignore[arg-type]

    return run


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("count", [2, 3])
def test_the_file_says_what_scikit_learn_says(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator, kernel: Kernel, count: int
) -> None:
    values, truth = classes(rng, 90, far=0.5)
    kept = [i for i, label in enumerate(truth) if label in LABELS[:count]]
    values, truth = values[kept], [truth[i] for i in kept]
    trained = train(list(values), listed(truth), kernel=kernel)
    units = normalized(values)
    gamma = trained.card.gamma if kernel == "rbf" else "scale"
    own = SVC(C=trained.card.c, kernel=kernel, gamma=gamma, tol=1e-6)
    place = np.array([LABELS.index(label) for label in truth])
    if count == 2:
        one = own.fit(units, place).decision_function(units)
        wanted = np.column_stack([-one, one])
    else:
        wanted = OneVsRestClassifier(own).fit(units, place).decision_function(units)
    if kernel == "rbf":
        scale = 1 / (units.shape[1] * units.var())
        assert gamma == pytest.approx(scale)
    model = VideoModel(trained.path)
    assert np.abs(model.margins(values) - wanted).max() < 1e-4
    heat = trained.card.temperature
    powers = np.exp(wanted / heat)
    shares = powers / powers.sum(axis=1, keepdims=True)
    assert model.probabilities(values) == pytest.approx(shares, abs=1e-4)
    assert model.probabilities(values[:0]).shape == (0, count)
    long = model.margins(values * np.float32(7))
    assert long == pytest.approx(model.margins(values), abs=1e-5), "length must not matter"


def test_large_duals_keep_their_digits(tmp_path: Path, rng: np.random.Generator) -> None:
    """Descriptors that differ in the fourth digit, and the largest C: float32 would lose it."""
    base = rng.normal(0, 1, 400)
    values = (base + 1e-3 * rng.normal(0, 1, (60, 400))).astype(np.float32)
    films = KernelMatrix(values, rng.integers(0, 3, 60), 3, "rbf")
    machine = films.fit(np.arange(60), 100.0)
    assert machine.gamma > 1
    card = VideoCard("m", "person", LABELS, kernel="rbf", gamma=machine.gamma, size=100)
    margins = films.margins(machine, np.arange(60))
    export.export_svm(machine, card, tmp_path / "m.onnx", values, margins)
    other = films.fit(np.arange(60), 1.0)
    with pytest.raises(ModelError, match=r"m\.onnx differs from the trained machine by"):
        export.export_svm(other, card, tmp_path / "m.onnx", values, margins)
    assert np.abs(VideoModel(tmp_path / "m.onnx").margins(values) - margins).max() < 1e-4


def test_clear_videos_are_classified(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    values, truth = classes(rng, 120, far=3)
    trained = train(list(values), listed(truth))
    accuracy = trained["accuracy"]
    assert accuracy.value > 0.97
    assert accuracy.low <= accuracy.value <= accuracy.high
    assert 0.25 < trained["most_common_label"].value < 0.5
    assert trained["log_loss"].value < 0.2 < trained["log_loss_of_shares"].value
    assert sum(trained[f"recall_{label}"].count for label in LABELS) == 120
    assert trained.notes == ()


def test_all_right_is_not_certain(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    """A bootstrap would say 100 % to 100 %."""
    values, truth = classes(rng, 120, far=8)
    trained = train(list(values), listed(truth, (np.arange(120) % 12).tolist()))
    assert trained["accuracy"].value == 1
    assert trained["accuracy"].people == 12
    assert 0.6 < trained["accuracy"].low < 0.9
    assert all(trained[f"recall_{label}"].low < 1 for label in LABELS)


def test_labels_by_chance_are_no_better_than_the_most_common(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    values, _ = classes(rng, 100)
    truth = [LABELS[k] for k in rng.choice(3, 100, p=[0.5, 0.3, 0.2])]
    trained = train(list(values), listed(truth))
    assert trained["accuracy"].low < trained["most_common_label"].value + 0.02
    losses = trained["log_loss"].value, trained["log_loss_of_shares"].value
    assert losses[0] < losses[1] + 0.15, "probabilities must not be bold by chance"
    assert "may be no better than always predicting" in trained.notes[0]


def test_groups_are_never_parted(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    """Forty subjects with a face of their own and a label by chance: only the face is to be had."""
    groups = np.repeat(np.arange(40), 5)
    faces = rng.normal(3, 3, (40, 4 * D))
    values = (faces[groups] + rng.normal(0, 0.1, (200, 4 * D))).astype(np.float32)
    truth = [LABELS[k] for k in rng.integers(0, 3, 40)[groups]]
    honest = train(list(values), listed(truth, groups.tolist()), kernel="rbf")
    leaky = train(list(values), listed(truth), kernel="rbf")
    assert leaky["accuracy"].value > 0.95
    assert honest["accuracy"].value < 0.55
    assert any("no group of videos (40)" in line for line in honest.card.protocol)
    assert any("may be in two folds" in line for line in leaky.card.protocol)
    wide = honest["accuracy"]
    assert wide.high - wide.low > 0.15, "five films of a subject are no five films"


def test_folds_hold_groups_and_every_label(rng: np.random.Generator) -> None:
    groups = rng.integers(0, 30, 200)
    truth = rng.integers(0, 3, 200)
    held_out = np.zeros(200, int)
    for learned, held in cross_validation.folds(truth, groups):
        assert not set(groups[learned]) & set(groups[held])
        assert set(truth[learned]) == {0, 1, 2}
        held_out[held] += 1
    assert (held_out == 1).all()


def test_rbf_separates_what_no_line_can(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    """Exclusive or, in two directions of many."""
    signs = rng.choice([-1, 1], (200, 2))
    values = np.full((200, 4 * D), 1.0) + rng.normal(0, 0.1, (200, 4 * D))
    values[:, :2] += 2 * signs
    truth = [LABELS[int(a == b)] for a, b in signs]
    line = train(list(values), listed(truth), kernel="linear")["accuracy"].value
    curve = train(list(values), listed(truth), kernel="rbf")["accuracy"].value
    assert line < 0.75
    assert curve > 0.97


def test_splits_stay_separate(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    values, truth = classes(rng, 120, far=3)
    parts = ["test" if i % 3 == 0 else "train" for i in range(120)]
    for i in range(0, 120, 3):  # what stands in the test must not be learned
        values[i] = values[i][::-1]
    trained = train(list(values), listed(truth, parts=parts))
    assert trained["accuracy"].count == 40
    assert trained["accuracy"].value < 0.7
    place = np.array([LABELS.index(label) for label in truth])
    rows = np.array([i for i in range(120) if i % 3])
    films = KernelMatrix(values, place, 3, "linear")
    choice = cross_validation.choose(films, np.arange(120), rows)
    assert max(choice.accuracies.values()) > 0.97
    assert set(choice.svm.rows.tolist()) <= set(rows.tolist())
    assert trained.card.c == choice.svm.c
    assert "80 videos of films.csv" in trained.card.training_data
    assert "measured once, on 40 videos" in trained.card.protocol[0]


def test_temperature_finds_the_true_one(rng: np.random.Generator) -> None:
    margins, every = rng.normal(0, 2, (4000, 3)), np.arange(4000)
    chance = cross_validation.softmax(margins, 0.7)
    truth = np.array([rng.choice(3, p=row) for row in chance])
    assert cross_validation.temperature(margins, truth, every) == pytest.approx(0.7, rel=0.1)
    blind = rng.integers(0, 3, 4000)
    assert cross_validation.temperature(margins, blind, every) > 10


@pytest.mark.parametrize("groups", [8, 80])
def test_few_groups_are_never_bold(groups: int) -> None:
    """All right, and far from the edge: so sure as the number of groups allows (Laplace's rule)."""
    truth = np.arange(160) % 2
    margins = np.where(np.arange(2) == truth[:, None], 1.0, -1.0)
    heat = cross_validation.temperature(margins, truth, np.arange(160) // 2 % groups)
    top = cross_validation.softmax(margins, heat).max(axis=1)
    assert top == pytest.approx((groups + 1) / (groups + 2), abs=1e-3)


def test_videos_without_a_face_are_counted_and_named(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    values, truth = classes(rng, 60, far=3)
    some: list[FloatArray | None] = list(values)
    some[7] = some[20] = None
    trained = train(some, listed(truth))
    assert [line.split(":")[0] for line in trained.left_out] == ["7.mp4", "20.mp4"]
    assert "no face was found in 7.mp4" in trained.left_out[0]
    assert trained["accuracy"].count == 58
    assert trained["accuracy_of_all"].count == 60
    right = trained["accuracy"].value * 58
    assert trained["accuracy_of_all"].value == pytest.approx(right / 60)
    assert any("2 videos gave no prediction" in line for line in trained.card.protocol)


def test_the_card_has_everything(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    import onnx

    values, truth = classes(rng, 60, far=3)
    trained = train(list(values), listed(truth), kind="group", kernel="rbf")
    texts = {e.key: e.value for e in onnx.load(str(trained.path)).metadata_props}
    card = json.loads(texts[VideoCard.key])
    assert card["name"] == "mood"
    assert card["kind"] == "group"
    assert card["labels"] == list(LABELS)
    assert card["size"] == D
    assert (card["model"], card["model_sha256"]) == ("stand-in", "ab" * 32)
    assert card["figures"]["accuracy"] == pytest.approx(trained["accuracy"].value, abs=1e-4)
    assert "60 videos of films.csv" in card["training_data"]
    assert VideoCard.from_json(texts[VideoCard.key]) == VideoModel(trained.path).card
    assert [p.name for p in trained.path.parent.iterdir()] == ["mood.onnx"]


def test_progress_comes_to_its_end(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    values, truth = classes(rng, 45, far=3)
    reported: list[tuple[str, int, int]] = []

    def report(line: dict[str, Any]) -> None:
        reported.append((line["stage"], line["step"], line["of"]))

    train(list(values), listed(truth), report=report)
    analyzed = [step for step in reported if step[0].startswith("analyzing")]
    assert analyzed[0] == ("analyzing 0.mp4", 0, 45)
    assert analyzed[-1] == ("analyzing videos", 45, 45)
    chosen = [step for step in reported if step[0] == "choosing C"]
    assert [step[1] for step in chosen] == list(range(1, len(chosen) + 1))
    assert chosen[-1][1] == chosen[-1][2]


def test_few_videos_are_few(
    train: Callable[..., Trained[VideoCard]], rng: np.random.Generator
) -> None:
    values, truth = np.eye(4, 4 * D, dtype=np.float32) + 1, ["anger", "anger", "fear", "fear"]
    trained = train(list(values), listed(truth))
    assert trained.figures == ()
    assert "groups of videos held out: 4" in trained.notes[0]
    assert set(trained.card.figures) == {"films", "groups", "films_of_all"}
    with pytest.raises(
        InputError, match="label 'fear' has only 1 usable videos to train on; at least 2"
    ):
        train([*values[:3], None], listed(truth))
    with pytest.raises(InputError, match="no input has a face to learn from"):
        train([None] * 4, listed(truth))
    with pytest.raises(InputError, match="needs at least 3 groups, there are 2"):
        train(list(values), listed(truth, [1, 2, 1, 2]))
    parts = ["train"] * 4 + ["test"]
    with pytest.raises(InputError, match="no video to test has a face"):
        train([*values, None], listed([*truth, "fear"], parts=parts))


def test_features_of_two_models_do_not_mix(tmp_path: Path, rng: np.random.Generator) -> None:
    values, truth = classes(rng, 30)
    sha = ["ab" * 32] * 29 + ["cd" * 32]
    with pytest.raises(UsageError, match=r"0\.mp4 and 29\.mp4 are of different models .*cdcdcdcd"):
        train_videos(listed(truth), tmp_path / "m.onnx", Memory(list(values), sha))
    assert not (tmp_path / "m.onnx").exists()


def sheet(folder: Path, text: str, *films: str) -> Path:
    for name in films:
        (folder / name).touch()
    path = folder / "films.csv"
    path.write_text(text)
    return path


def test_a_list_of_videos(tmp_path: Path) -> None:
    text = "Path, Emotion, subject, usage\na.mp4,Happy,s1,Training\nb.mp4,sad,s1,train\n"
    text += "c.mp4,Positive,,PrivateTest\nd.mp4,sad,s3,val\n"
    found = read_videos(sheet(tmp_path, text, "a.mp4", "b.mp4", "c.mp4", "d.mp4"))
    assert found.names == ("a.mp4", "b.mp4", "c.mp4")
    assert found.truth == ("Happy", "sad", "Positive")
    assert found.groups == ("s1", "s1", "c.mp4")
    assert found.parts == ("train", "train", "test")
    assert found.paths[0] == tmp_path / "a.mp4"
    assert found.left_out == 1
    assert found.grouped


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,label\na.mp4,sad\nx.mp4,sad\ny.mp4,glad\n",
            "2 of 3 videos that do not exist: x.mp4",
        ),
        ("path,label\na.mp4,sad\nb.mp4,\n", "line 3: a video and its label are needed"),
        ("path,label\na.mp4,sad\nb.mp4,sad\n", "at least two labels are needed, it has sad"),
        ("path,label\na.mp4,sad\n./a.mp4,fear\n", "lists a video twice: a.mp4"),
        ("path,label\na.mp4,sad\nb.mp4,uncertain\n", "no label can be called 'uncertain'"),
        ("path,label\na.mp4,sad\nb.mp4,frames\n", "no label can be called 'frames'"),
        ("film,color\na.mp4,sad\n", "columns path and label; it has 1 rows with film, color"),
        ("path,label,split\na.mp4,sad,train\nb.mp4,fear,\n", "line 3: a split is train"),
        ("path,label,split\na.mp4,sad,train\nb.mp4,fear,train\n", "videos to train and videos to"),
        (
            "path,label,group,split\na.mp4,sad,s1,train\nb.mp4,fear,s1,test\n",
            "the group 's1' is in train and in test",
        ),
        ("", "columns path and label; it has 0 rows with no columns"),
    ],
)
def test_a_list_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_videos(sheet(tmp_path, text, "a.mp4", "b.mp4"))


def test_no_list(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match=r"no such file: .*films\.csv"):
        read_videos(tmp_path / "films.csv")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_list_may_be_separated_by_semicolons_or_tabs(tmp_path: Path, separator: str) -> None:
    text = f"path{separator}label\na.mp4{separator}glad\nb.mp4{separator}calm\n"
    found = read_videos(sheet(tmp_path, text, "a.mp4", "b.mp4"))
    assert (found.names, found.truth) == (("a.mp4", "b.mp4"), ("glad", "calm"))
