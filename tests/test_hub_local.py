"""Registered models of the user: names, cards, and the list of all models."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mien import hub
from mien.cli.commands import app


def test_a_model_of_ones_own_gets_a_name(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien import load_classifier

    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    file = str(shared / "models" / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx")
    run = CliRunner().invoke
    done = run(app, ["models", "add", file, "--name", "mine"])
    assert done.exit_code == 4
    assert "carries no card" in done.output
    card = '{"labels": ["a", "b", "c", "d", "e", "f", "g"], "mean": 127.5, "std": 127.5}'
    done = run(app, ["models", "add", file, "--name", "mine", "--card", card])
    assert done.exit_code == 0, done.output
    assert load_classifier("mine").labels == tuple("abcdefg")
    assert run(app, ["models", "add", file, "--name", "../up", "--card", card]).exit_code == 2
    assert run(app, ["models", "info", "mine"]).exit_code == 0
    assert run(app, ["models", "add", file, "--card", "{"]).exit_code == 2
    assert run(app, ["models", "add", file, "--card", "[1]"]).exit_code == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mien-mobilenet", "mien-mobilenet is the name of a model that ships with mien"),
        ("enet_b2_8", "enet_b2_8 is the name of a published model"),
        ("mine.onnx", "mine.onnx would be taken for a file"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(
    name: str, words: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    file = str(shared / "models" / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx")
    card = '{"labels": ["a", "b", "c", "d", "e", "f", "g"]}'
    done = CliRunner().invoke(app, ["models", "add", file, "--name", name, "--card", card])
    assert done.exit_code == 2
    assert words in done.output
    assert not hub.own_models()


def test_a_card_beside_the_file_goes_along(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien import load_classifier
    from mien.expressions.onnx import OnnxClassifier
    from mien.plugins import model_path

    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    file = shared / "models" / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx"
    (tmp_path / "other.onnx").write_bytes(file.read_bytes())
    (tmp_path / "other.json").write_text('{"labels": ["a", "b", "c", "d", "e", "f", "g"]}')
    run = CliRunner().invoke
    done = run(app, ["models", "add", str(tmp_path / "other.onnx")])
    assert done.exit_code == 0, done.output
    assert load_classifier("other").labels == tuple("abcdefg")
    # What --card says counts before the file's own card, and leaves with the model.
    own = str(model_path("mien-mobilenet"))
    again = ["models", "add", own, "--name", "other", "--overwrite"]
    done = run(app, [*again, "--card", '{"temperature": 9}'])
    assert done.exit_code == 0, done.output
    found = load_classifier("other")
    assert isinstance(found, OnnxClassifier)
    assert (found.card.name, found.card.temperature) == ("other", 9)
    assert run(app, again).exit_code == 0
    found = load_classifier("other")
    assert isinstance(found, OnnxClassifier)
    assert found.card.temperature == OnnxClassifier(own).card.temperature


def test_a_model_is_run_before_it_is_registered(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    run = CliRunner().invoke
    file = str(shared / "models" / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx")
    add = ["models", "add", file, "--name", "mine", "--card"]
    done = run(app, [*add, '{"labels": ["a", "b"]}'])
    assert done.exit_code == 4
    assert f"{file} returns 7 scores per face, but its card has 2 labels" in done.output
    assert not hub.own_models()
    assert run(app, [*add, '{"labels": ["a", "b", "c", "d", "e", "f", "g"]}']).exit_code == 0
    done = run(app, [*add, '{"labels": ["t", "u", "v", "w", "x", "y", "z"]}'])
    assert done.exit_code == 2
    assert "you have a model mine already" in done.output
    card = hub.own_card("mine")
    assert card is not None
    assert tuple(card["labels"]) == tuple("abcdefg")


def test_models_can_be_removed(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    file = shared / "models" / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx"
    hub.add(file, "mine", {"labels": list("abcdefg")})
    run = CliRunner().invoke
    assert run(app, ["models", "remove", "mine"]).exit_code == 0
    assert not hub.own_models()
    assert hub.own_card("mine") is None
    done = run(app, ["models", "remove", "mine"])
    assert (done.exit_code, "you have no model 'mine'" in done.output) == (2, True)
    fetched = hub.cached(hub.find("mobilefacenet-fer"))
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"weights")
    assert run(app, ["models", "remove", "mobilefacenet-fer"]).exit_code == 0
    assert not fetched.exists()
    assert run(app, ["models", "remove", "mobilefacenet-fer"]).exit_code == 4
    assert run(app, ["models", "remove", "mien-mobilenet"]).exit_code == 2


def test_one_bad_model_hides_no_other(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    file = shared / "models" / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx"
    card = {"labels": list("abcdefg")}
    hub.add(file, "good", card)
    hub.add(file, "bare", {})
    hub.add(file, "worse", card).write_bytes(b"no network")
    done = CliRunner().invoke(app, ["models", "list"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert any(line.startswith("good ") for line in lines)
    assert any(line.startswith("bare cannot be used: ") for line in lines)
    assert any(line.startswith("worse cannot be used: ") for line in lines)
    assert CliRunner().invoke(app, ["models", "info", "bare"]).exit_code == 4


def test_info_shows_size_and_address_whole(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    run = CliRunner().invoke

    def details(name: str) -> dict[str, str]:
        done = run(app, ["models", "info", name])
        assert done.exit_code == 0, done.output
        return dict(line.split("  ", 1) for line in done.output.splitlines() if "  " in line)

    found = details("engagement_single_attention")
    assert found["url"].strip() == hub.find("engagement_single_attention").url
    assert found["size"].strip() == "5.3 MB (5,282,144 bytes)"
    assert details("enet_b2_7")["size"].strip() == "unknown"
    file = shared / "models" / "facial_expression_recognition_mobilefacenet_2022july_int8.onnx"
    path = hub.add(file, "mine", {"labels": list("abcdefg")})
    assert details("mine")["size"].strip() == "1.4 MB (1,364,007 bytes)"
    assert details("mine")["file"].strip() == str(path)
