"""Evaluations and comparisons on generated faces with known answers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from mien import CustomClassifier
from mien.datasets import LabelledFaces, load_faces
from mien.errors import UsageError
from mien.evaluation import compare, evaluate
from mien.expressions.base import EmotionClassifier
from mien.labels import EMOTIONS
from mien.reports.evaluation import write_evaluation
from mien.types import Crops, FloatArray

LABELS = ("neutral", "happiness", "anger")
#: The shade of gray that means each label.
SHADES = dict(zip(LABELS, (40, 120, 200), strict=True))


def reader(
    labels: Sequence[str] = LABELS, blind_below: int = 0, sure: float = 0.9
) -> EmotionClassifier:
    """Reads the label off the shade; calls all that is darker than a limit its first label."""

    def judge(crops: Crops) -> FloatArray:
        shade = crops.mean(axis=(1, 2, 3))
        top = np.abs(shade[:, None] - [SHADES.get(name, 999) for name in labels]).argmin(axis=1)
        top[shade < blind_below] = 0
        out = np.full((len(crops), len(labels)), (1 - sure) / (len(labels) - 1), np.float32)
        out[np.arange(len(crops)), top] = sure
        return out

    return CustomClassifier(judge, labels=labels, input_size=8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """60 pictures: 20 a label; group b holds all anger and half of neutral."""
    rows = ["path,label,group,age"]
    for label, shade in SHADES.items():
        for i in range(20):
            name = f"{label}{i}.png"
            picture = np.full((12, 12), shade + i % 5, np.uint8)
            picture[i % 12, i // 12] = 255  # no two alike
            PilImage.fromarray(picture).save(tmp_path / name)
            group = "b" if label == "anger" or (label == "neutral" and i < 10) else "a"
            rows.append(f"{name},{label},{group},{20 + i}")
    (tmp_path / "faces.csv").write_text("\n".join(rows))
    return tmp_path / "faces.csv"


@pytest.fixture
def faces(data: Path) -> LabelledFaces:
    return load_faces(data)


def test_a_model_that_is_always_right(faces: LabelledFaces) -> None:
    found = evaluate(reader(), faces)
    assert found.accuracy.value == found.macro_f1.value == 1
    assert found.labels == LABELS
    assert found.table.sum() == np.trace(found.table) == 60
    assert found.ece == pytest.approx(0.1, abs=1e-6)
    assert found.sure == (1, 1)
    assert found.votes == {}


def test_a_model_that_predicts_neutral_for_anger(faces: LabelledFaces) -> None:
    def judge(crops: Crops) -> FloatArray:
        happy = np.abs(crops.mean(axis=(1, 2, 3)) - 125) < 30
        return np.stack([~happy * 0.8 + 0.1, happy * 0.8 + 0.1], axis=1).astype(np.float32)

    model = CustomClassifier(judge, labels=("Neutral", "Happy"), input_size=8)
    found = evaluate(model, faces, by=["group", "age"])
    assert found.accuracy.value == pytest.approx(40 / 60)
    assert found.accuracy.low < 40 / 60 < found.accuracy.high
    assert [round(figure.value, 3) for figure in found.recalls.values()] == [1, 1, 0]
    assert found.macro_f1.value == pytest.approx((2 * 20 / 60 + 1 + 0) / 3)
    assert any("no anger: an error each time" in line for line in found.protocol)
    group = found.groups[0]
    assert {name: figure.value for name, figure in group.parts} == {"a": 1, "b": 10 / 30}
    assert group.gap is not None
    assert (group.gap.best, group.gap.worst) == ("a", "b")
    assert group.gap.value == pytest.approx(20 / 30)
    assert group.gap.is_beyond_chance
    ages = [name for name, _ in found.groups[1].parts]
    assert len(ages) == 4  # many numbers become quarters
    assert sum(figure.count for _, figure in found.groups[1].parts) == 60


def test_labels_that_the_data_lacks_are_left_out(faces: LabelledFaces) -> None:
    found = evaluate(reader((*LABELS, "fear")), faces)
    assert found.accuracy.value == 1
    assert any("left out before the softmax" in line and "fear" in line for line in found.protocol)


def test_less_sure_answers_are_uncertain(faces: LabelledFaces) -> None:
    found = evaluate(reader(sure=0.4), faces)
    assert found.accuracy.value == 1
    assert found.sure[0] == 0
    assert math.isnan(found.sure[1])


def test_wrong_use_is_a_usage_error(faces: LabelledFaces) -> None:
    with pytest.raises(UsageError, match="no column 'sex'; it has group, age"):
        evaluate(reader(), faces, by=["sex"])
    with pytest.raises(UsageError, match="has none of the data's labels"):
        evaluate(reader(("fear", "contempt")), faces)
    with pytest.raises(UsageError, match="none of the model's labels"):
        evaluate(reader(("yes", "no")), faces)


def test_a_better_model_is_distinguished_from_chance(faces: LabelledFaces) -> None:
    good, poor = reader(), reader(("happiness", "neutral", "anger"), blind_below=60)
    found = compare(poor, good, faces)
    assert found.overall.difference == pytest.approx(20 / 60)
    assert (found.overall.only_one, found.overall.only_other) == (0, 20)
    assert found.overall.p == pytest.approx(2 / 2**20)
    assert found.overall.low > 0
    assert found.by_label["neutral"].difference == 1
    assert found.by_label["anger"].difference == 0
    same = compare(good, reader(tuple(reversed(LABELS))), faces)
    assert same.overall.difference == 0
    assert same.overall.p == 1
    assert same.overall.low < 0 < same.overall.high, "60 faces do not prove that two are equal"


def test_models_are_compared_on_labels_that_both_have(faces: LabelledFaces) -> None:
    found = compare(reader(), reader(("anger", "neutral")), faces)
    assert found.overall.faces == 40
    assert set(found.by_label) == {"neutral", "anger"}
    assert any("20 faces left out" in line for line in found.protocol)
    with pytest.raises(UsageError, match="share 1 labels"):
        compare(reader(), reader(("anger", "fear")), faces)


def test_the_report_is_whole_and_machines_can_read_it(faces: LabelledFaces, tmp_path: Path) -> None:
    found = evaluate(reader(blind_below=60), faces, by=["group"])
    page, table = write_evaluation(found, tmp_path / "out", model="a <b>", data="faces")
    text = page.read_text("utf-8")
    assert text.count("<svg") == 3
    assert "a &lt;b&gt;" in text
    assert "src=" not in text
    assert "By group" in text
    document = json.loads(table.read_text("utf-8"))
    assert document["accuracy"]["value"] == pytest.approx(1)
    assert document["confusion"] == found.table.tolist()
    assert document["groups"]["group"]["groups"]["a"]["faces"] == 30
    assert document["coverage"][-1] == {"confidence": 0.9, "share": 1, "accuracy": 1}
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot make the folder"):
        write_evaluation(found, tmp_path / "file", model="m", data="d")


@pytest.mark.parametrize(("unknown", "blind_below"), [("happiness", 130), ("neutral", 250)])
def test_faces_of_an_unknown_group_do_not_enter_the_gap(
    faces: LabelledFaces, unknown: str, blind_below: int
) -> None:
    """Not when they are the worst predicted, nor when they are the best."""
    groups = np.array(["a", "b"])[(faces.majority == EMOTIONS.index("anger")).astype(int)]
    groups[faces.majority == EMOTIONS.index(unknown)] = ""
    some = replace(faces, columns={"group": groups})
    part = evaluate(reader(blind_below=blind_below), some, by=["group"]).groups[0]
    rates = {name: figure.value for name, figure in part.parts}
    assert rates[""] != rates["a"] == rates["b"]
    assert part.gap is not None
    assert part.gap.value == 0
    assert {part.gap.best, part.gap.worst} <= {"a", "b"}


def test_of_many_groups_the_unknown_stays_separate(faces: LabelledFaces) -> None:
    names = np.array([f"place{i % 13}" for i in range(60)])
    names[0] = ""  # rarer than any
    some = replace(faces, columns={"where": names})
    parts = dict(evaluate(reader(), some, by=["where"]).groups[0].parts)
    assert parts[""].count == 1
    assert parts["others"].count > 0
    assert sum(figure.count for figure in parts.values()) == 60


def test_a_gap_that_chance_makes_is_no_finding(
    faces: LabelledFaces, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Random ages, as in a table whose column says nothing."""
    from mien.cli.output.evaluation import show_evaluation

    ages = np.random.default_rng(0).integers(20, 80, 60)
    some = replace(faces, columns={"age": np.where(ages < 50, "young", "old")})
    found = evaluate(reader(blind_below=60), some, by=["age"])
    by_shade = evaluate(reader(blind_below=130), faces, by=["group"])
    gap, real = found.groups[0].gap, by_shade.groups[0].gap
    assert gap is not None
    assert real is not None
    assert not gap.is_beyond_chance
    assert gap.low <= 0
    show_evaluation(found, "m", (), json=False)
    assert "No difference between the groups beyond chance" in capsys.readouterr().out
    page, table = write_evaluation(found, tmp_path / "out", model="m", data="d")
    assert "No difference between the groups beyond chance" in page.read_text("utf-8")
    row = json.loads(table.read_text("utf-8"))["groups"]["age"]["gap"]
    assert row["p"] >= 0.05
    assert not row["is_beyond_chance"]
    assert real.is_beyond_chance
    show_evaluation(by_shade, "m", (), json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "Largest gap: " in said
    assert "percentage points" in said
    assert "95 % interval" in said


def test_intervals_are_over_people_where_the_data_knows_them(faces: LabelledFaces) -> None:
    people = np.array([f"p{i % 6}" for i in range(60)])
    alone = evaluate(reader(blind_below=60), faces)
    found = evaluate(reader(blind_below=60), replace(faces, columns={"person": people}))
    assert found.accuracy.value == alone.accuracy.value
    assert found.accuracy.people == 6
    assert any("over the 6 people" in line for line in found.protocol)
    few = evaluate(reader(), replace(faces, columns={"person": np.array(["a", "b"] * 30)}))
    assert math.isnan(few.accuracy.low)
    assert few.accuracy.value == 1


def test_only_what_is_whole_is_called_100_percent() -> None:
    from mien.reports.html import percent

    assert percent(0.99996) == ">99.9\u00a0%"
    assert percent(0.9996, 0) == ">99\u00a0%"
    assert percent(1.0) == "100.0\u00a0%"
    assert percent(0.5) == "50.0\u00a0%"
    assert percent(math.nan) == "–"
    assert percent(0.0002) == "<0.1\u00a0%"
    assert percent(0.0) == "0.0\u00a0%"
    assert percent(sum([0.1] * 10)) == "100.0\u00a0%"  # rounding errors are not a share


def test_few_faces_of_a_label_have_no_interval_of_a_difference(
    faces: LabelledFaces, capsys: pytest.CaptureFixture[str]
) -> None:
    from mien.cli.output.evaluation import show_comparison

    kept = np.concatenate([np.flatnonzero(faces.majority == EMOTIONS.index("happiness")), [0, 1]])
    found = compare(reader(), reader(blind_below=60), faces[np.sort(kept)])
    part = found.by_label["neutral"]
    assert part.faces == 2
    assert math.isnan(part.low)
    assert found.to_dict()["by_label"]["neutral"]["low"] is None
    show_comparison(found, "one", "other", json=False)
    assert "too few faces" in capsys.readouterr().out
    show_comparison(found, "one", "other", json=True)
    json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """A folder whose train split holds twice as many faces as its test split."""
    for split, count in (("train", 20), ("test", 10)):
        for label, shade in SHADES.items():
            folder = tmp_path / "d" / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                picture = np.full((12, 12), shade + i % 5, np.uint8)
                picture[i % 12, i // 12 + 6 * (split == "test")] = 255
                PilImage.fromarray(picture).save(folder / f"{i}.png")
    return tmp_path / "d"


def test_a_model_is_evaluated_on_faces_it_was_not_trained_on(
    divided: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mien.cli.output.evaluation import faces_to_measure

    (divided / "train" / "anger" / "torn.png").write_bytes(b"no picture")
    chosen = faces_to_measure(divided, None, None)
    assert chosen.broken == ()  # that is the trouble of those who train
    assert set(chosen.splits) == {"test"}
    assert len(chosen) == 30
    assert (
        "measured on test alone; for other faces use --split train or --split all"
        in capsys.readouterr().err
    )
    assert any(line == "splits: 30 of test" for line in evaluate(reader(), chosen).protocol)
    everything = faces_to_measure(divided, "all", None)
    assert len(everything) == 90
    assert [broken.split for broken in everything.broken] == ["train"]
    protocol = evaluate(reader(), everything).protocol
    assert any(line == "splits: 30 of test, 60 of train" for line in protocol)
    assert set(faces_to_measure(divided, "train", None).splits) == {"train"}


def test_the_commands(data: Path, tmp_path: Path) -> None:
    import typer
    from typer.testing import CliRunner

    from mien.cli.commands.compare import compare as compare_command
    from mien.cli.commands.evaluate import evaluate as evaluate_command
    from mien.cli.exit_codes import with_exit_code

    def run(command: object, *arguments: str) -> tuple[int, str]:
        app = typer.Typer()
        app.command()(with_exit_code(command))  # type: ignore[arg-type]
        done = CliRunner().invoke(app, list(arguments))
        return done.exit_code, done.output

    code, text = run(evaluate_command, "mien-mobilenet", str(data), "-o", str(tmp_path / "r"))
    assert code == 0, text
    assert "macro F1" in text
    assert "protocol:" in text
    assert (tmp_path / "r" / "report.html").is_file()
    code, text = run(evaluate_command, "mien-mobilenet", str(data), "--by", "shoe")
    assert code == 2
    assert "no column 'shoe'" in text
    words = data.read_text().replace(",anger,", ",furious at it,").replace(",neutral,", ",odd,")
    strange = data.with_name("words.csv")
    strange.write_text(words)
    code, text = run(evaluate_command, "mien-mobilenet", str(strange))
    assert code == 3
    assert "--labels glad=happiness" in text.replace("\n", " ")
    said = "furious at it = anger,odd="
    code, text = run(evaluate_command, "mien-mobilenet", str(strange), "--labels", said, "--json")
    assert code == 0, text
    table = json.loads(text[text.index("{") :])
    assert table["labels"] == ["happiness", "anger"]
    assert table["accuracy"]["faces"] == 40
    code, text = run(evaluate_command, "mien-mobilenet", str(data), "--json")
    assert code == 0, text
    assert json.loads(text[text.index("{") :])["figures"] == {}
    code, text = run(compare_command, "mien-mobilenet", "mien-mobilenet", str(data))
    assert code == 0, text
    assert "No significant difference" in text
    code, text = run(evaluate_command, "mien-mobilenet", str(tmp_path / "nothing"))
    assert code == 3
