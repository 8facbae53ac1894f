"""Models of films from generated features with a known answer: figures, file, parity."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mien.errors import InputError, InputNotFoundError, ModelError, UsageError
from mien.timeline.classifier import METADATA_KEY, FilmCard, FilmModel
from mien.types import FloatArray

pytest.importorskip("sklearn", reason="scikit-learn (the extra video) is not installed")
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC

from mien.training.videos import cross_validation, export
from mien.training.videos.data import FilmList, read_films
from mien.training.videos.features import Camera, Footage
from mien.training.videos.svm import Films, Kernel, normalised
from mien.training.videos.train import Trained, train_films

D = 6
LABELS = ("anger", "happiness", "sadness")


class Memory(Camera):
    """Films whose descriptors are known already; without values, one without a face."""

    def __init__(self, values: Sequence[FloatArray | None], sha: Sequence[str] = ()) -> None:
        self._values = values
        self._sha = sha or ["ab" * 32] * len(values)
        self.seen: list[str] = []

    def look(self, path: Path, kind: str) -> Footage:
        self.seen.append(path.name)
        number = int(path.stem)
        value, sha = self._values[number], self._sha[number]
        if value is None:
            return Footage({}, {kind: f"no face was found in {path}."}, {kind: 0}, "stand-in", sha)
        return Footage({kind: value.astype(np.float32)}, {kind: ""}, {kind: 0}, "stand-in", sha)


def listed(
    truth: Sequence[str], groups: Sequence[int] | None = None, parts: Sequence[str] | None = None
) -> FilmList:
    names = tuple(f"{i}.mp4" for i in range(len(truth)))
    together = names if groups is None else tuple(map(str, groups))
    return FilmList(
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
def train(tmp_path: Path) -> Callable[..., Trained]:
    def run(values: Sequence[FloatArray | None], films: FilmList, **known: object) -> Trained:
        return train_films(films, tmp_path / "mood.onnx", Memory(values), **known)  # type: ignore[arg-type]

    return run


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("count", [2, 3])
def test_the_file_says_what_scikit_learn_says(
    train: Callable[..., Trained], rng: np.random.Generator, kernel: Kernel, count: int
) -> None:
    values, truth = classes(rng, 90, far=0.5)
    kept = [i for i, label in enumerate(truth) if label in LABELS[:count]]
    values, truth = values[kept], [truth[i] for i in kept]
    trained = train(list(values), listed(truth), kernel=kernel)
    machine = trained.choice.machine
    units = normalised(values)
    gamma = machine.gamma if kernel == "rbf" else "scale"
    own = SVC(C=machine.c, kernel=kernel, gamma=gamma, tol=1e-6)
    place = np.array([LABELS.index(label) for label in truth])
    if count == 2:
        one = own.fit(units, place).decision_function(units)
        wanted = np.column_stack([-one, one])
    else:
        wanted = OneVsRestClassifier(own).fit(units, place).decision_function(units)
    if kernel == "rbf":
        scale = 1 / (units.shape[1] * units.var())
        assert gamma == pytest.approx(scale)
    model = FilmModel(trained.path)
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
    films = Films(values, rng.integers(0, 3, 60), 3, "rbf")
    machine = films.fit(np.arange(60), 100.0)
    assert machine.gamma > 1
    card = FilmCard("m", "person", LABELS, 100, kernel="rbf", gamma=machine.gamma)
    export.export_machine(machine, card, tmp_path / "m.onnx")
    assert export.check_parity(tmp_path / "m.onnx", machine, films, values) < 1e-4
    other = films.fit(np.arange(60), 1.0)
    with pytest.raises(ModelError, match="differs from the machine that was trained by"):
        export.check_parity(tmp_path / "m.onnx", other, films, values)


def test_clear_videos_are_classified(
    train: Callable[..., Trained], rng: np.random.Generator
) -> None:
    values, truth = classes(rng, 120, far=3)
    figures = train(list(values), listed(truth)).figures
    assert figures.accuracy.value > 0.97
    assert figures.accuracy.low <= figures.accuracy.value <= figures.accuracy.high
    assert 0.25 < figures.baseline < 0.5
    assert figures.loss < 0.2 < figures.base_loss
    assert set(figures.recalls) == set(LABELS)
    assert sum(share.faces for share in figures.recalls.values()) == 120


def test_all_right_is_not_certain(train: Callable[..., Trained], rng: np.random.Generator) -> None:
    """A bootstrap would say 100 % to 100 %."""
    values, truth = classes(rng, 120, far=8)
    figures = train(list(values), listed(truth, (np.arange(120) % 12).tolist())).figures
    assert figures.accuracy.value == 1
    assert figures.accuracy.people == 12
    assert 0.6 < figures.accuracy.low < 0.9
    assert all(part.low < 1 for part in figures.recalls.values())


def test_labels_by_chance_are_no_better_than_the_most_common(
    train: Callable[..., Trained], rng: np.random.Generator
) -> None:
    values, _ = classes(rng, 100)
    truth = [LABELS[k] for k in rng.choice(3, 100, p=[0.5, 0.3, 0.2])]
    trained = train(list(values), listed(truth))
    figures = trained.figures
    assert figures.accuracy.low < figures.baseline + 0.02
    assert figures.loss < figures.base_loss + 0.15, "probabilities must not be bold by chance"


def test_groups_are_never_parted(train: Callable[..., Trained], rng: np.random.Generator) -> None:
    """Forty subjects with a face of their own and a label by chance: only the face is to be had."""
    groups = np.repeat(np.arange(40), 5)
    faces = rng.normal(3, 3, (40, 4 * D))
    values = (faces[groups] + rng.normal(0, 0.1, (200, 4 * D))).astype(np.float32)
    truth = [LABELS[k] for k in rng.integers(0, 3, 40)[groups]]
    honest = train(list(values), listed(truth, groups.tolist()), kernel="rbf")
    leaky = train(list(values), listed(truth), kernel="rbf")
    assert leaky.figures.accuracy.value > 0.95
    assert honest.figures.accuracy.value < 0.55
    assert any("no group of films (40)" in line for line in honest.figures.protocol)
    assert any("may be in two folds" in line for line in leaky.figures.protocol)
    wide = honest.figures.accuracy
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
    train: Callable[..., Trained], rng: np.random.Generator
) -> None:
    """Exclusive or, in two directions of many."""
    signs = rng.choice([-1, 1], (200, 2))
    values = np.full((200, 4 * D), 1.0) + rng.normal(0, 0.1, (200, 4 * D))
    values[:, :2] += 2 * signs
    truth = [LABELS[int(a == b)] for a, b in signs]
    line = train(list(values), listed(truth), kernel="linear").figures.accuracy.value
    curve = train(list(values), listed(truth), kernel="rbf").figures.accuracy.value
    assert line < 0.75
    assert curve > 0.97


def test_splits_stay_separate(train: Callable[..., Trained], rng: np.random.Generator) -> None:
    values, truth = classes(rng, 120, far=3)
    parts = ["test" if i % 3 == 0 else "train" for i in range(120)]
    for i in range(0, 120, 3):  # what stands in the test must not be learned
        values[i] = values[i][::-1]
    trained = train(list(values), listed(truth, parts=parts))
    assert trained.figures.accuracy.faces == 40
    assert trained.figures.accuracy.value < 0.7
    assert max(trained.choice.accuracies.values()) > 0.97
    assert not set(trained.choice.machine.rows.tolist()) & set(range(0, 120, 3))
    assert "80 films of films.csv" in trained.card.training_data
    assert "measured once, on 40 films" in trained.figures.protocol[0]


def test_temperature_finds_the_true_one(rng: np.random.Generator) -> None:
    margins, every = rng.normal(0, 2, (4000, 3)), np.arange(4000)
    chance = cross_validation.shares(margins, 0.7)
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
    top = cross_validation.shares(margins, heat).max(axis=1)
    assert top == pytest.approx((groups + 1) / (groups + 2), abs=1e-3)


def test_videos_without_a_face_are_counted_and_named(
    train: Callable[..., Trained], rng: np.random.Generator
) -> None:
    values, truth = classes(rng, 60, far=3)
    some: list[FloatArray | None] = list(values)
    some[7] = some[20] = None
    trained = train(some, listed(truth))
    assert list(trained.problems) == ["7.mp4", "20.mp4"]
    assert "no face was found in 7.mp4" in trained.problems["7.mp4"]
    assert trained.figures.accuracy.faces == 58
    assert trained.figures.everything.faces == 60
    right = trained.figures.accuracy.value * 58
    assert trained.figures.everything.value == pytest.approx(right / 60)
    assert any("2 films gave no answer" in line for line in trained.figures.protocol)


def test_the_card_has_everything(train: Callable[..., Trained], rng: np.random.Generator) -> None:
    import onnx

    values, truth = classes(rng, 60, far=3)
    trained = train(list(values), listed(truth), kind="group", kernel="rbf")
    texts = {e.key: e.value for e in onnx.load(str(trained.path)).metadata_props}
    card = json.loads(texts[METADATA_KEY])
    assert card["name"] == "mood"
    assert card["kind"] == "group"
    assert card["labels"] == list(LABELS)
    assert card["size"] == D
    assert (card["model"], card["model_sha256"]) == ("stand-in", "ab" * 32)
    assert card["figures"]["accuracy"] == pytest.approx(trained.figures.accuracy.value, abs=1e-4)
    assert "60 films of films.csv" in card["training_data"]
    assert FilmCard.from_json(texts[METADATA_KEY]) == FilmModel(trained.path).card
    assert [p.name for p in trained.path.parent.iterdir()] == ["mood.onnx"]


def test_progress_comes_to_its_end(train: Callable[..., Trained], rng: np.random.Generator) -> None:
    values, truth = classes(rng, 45, far=3)
    told: list[tuple[str, int, int]] = []
    train(list(values), listed(truth), step=lambda *step: told.append(step))
    looked = [step for step in told if step[0].startswith("looking at")]
    assert looked[0] == ("looking at 0.mp4", 0, 45)
    assert looked[-1] == ("looking at films", 45, 45)
    chosen = [step for step in told if step[0] == "choosing C"]
    assert [step[1] for step in chosen] == list(range(1, len(chosen) + 1))
    assert chosen[-1][1] == chosen[-1][2]


def test_few_videos_are_few(train: Callable[..., Trained], rng: np.random.Generator) -> None:
    values, truth = np.eye(4, 4 * D, dtype=np.float32) + 1, ["anger", "anger", "fear", "fear"]
    trained = train(list(values), listed(truth))
    assert np.isnan(trained.figures.accuracy.value)
    assert np.isnan(trained.figures.loss)
    assert set(trained.card.figures) == {"films", "groups", "films_of_all"}
    with pytest.raises(InputError, match="'fear' has 1 of its films with a face"):
        train([*values[:3], None], listed(truth))
    with pytest.raises(InputError, match="no film has a face to learn from"):
        train([None] * 4, listed(truth))
    with pytest.raises(InputError, match="needs 3 groups or more, there are 2"):
        train(list(values), listed(truth, [1, 2, 1, 2]))
    parts = ["train"] * 4 + ["test"]
    with pytest.raises(InputError, match="no film to test has a face"):
        train([*values, None], listed([*truth, "fear"], parts=parts))


def test_features_of_two_models_do_not_mix(tmp_path: Path, rng: np.random.Generator) -> None:
    values, truth = classes(rng, 30)
    sha = ["ab" * 32] * 29 + ["cd" * 32]
    with pytest.raises(UsageError, match=r"0\.mp4 and 29\.mp4 are of different models .*cdcdcdcd"):
        train_films(listed(truth), tmp_path / "m.onnx", Memory(list(values), sha))
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
    found = read_films(sheet(tmp_path, text, "a.mp4", "b.mp4", "c.mp4", "d.mp4"))
    assert found.names == ("a.mp4", "b.mp4", "c.mp4")
    assert found.truth == ("Happy", "sad", "Positive")
    assert found.groups == ("s1", "s1", "c.mp4")
    assert found.parts == ("train", "train", "test")
    assert found.paths[0] == tmp_path / "a.mp4"
    assert found.left_out == 1
    assert found.grouped


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,label\na.mp4,sad\nx.mp4,sad\ny.mp4,glad\n", "2 of 3 films that do not exist: x.mp4"),
        ("path,label\na.mp4,sad\nb.mp4,\n", "line 3: a film and its label are needed"),
        ("path,label\na.mp4,sad\nb.mp4,sad\n", "two labels or more are needed, there is sad"),
        ("path,label\na.mp4,sad\n./a.mp4,fear\n", "lists a film twice: a.mp4"),
        ("path,label\na.mp4,sad\nb.mp4,uncertain\n", "no label can be called 'uncertain'"),
        ("path,label\na.mp4,sad\nb.mp4,frames\n", "no label can be called 'frames'"),
        ("film,colour\na.mp4,sad\n", "has the columns film, colour: path and label are needed"),
        ("path,label,split\na.mp4,sad,train\nb.mp4,fear,\n", "line 3: a split is train"),
        ("path,label,split\na.mp4,sad,train\nb.mp4,fear,train\n", "films to train and films to"),
        (
            "path,label,group,split\na.mp4,sad,s1,train\nb.mp4,fear,s1,test\n",
            "the group 's1' is in train and in test",
        ),
        ("", "path and label are needed"),
    ],
)
def test_a_list_that_cannot_be_used(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_films(sheet(tmp_path, text, "a.mp4", "b.mp4"))


def test_no_list(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match=r"no such file: .*films\.csv"):
        read_films(tmp_path / "films.csv")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_list_may_be_separated_by_semicolons_or_tabs(tmp_path: Path, separator: str) -> None:
    text = f"path{separator}label\na.mp4{separator}glad\nb.mp4{separator}calm\n"
    found = read_films(sheet(tmp_path, text, "a.mp4", "b.mp4"))
    assert (found.names, found.truth) == (("a.mp4", "b.mp4"), ("glad", "calm"))
