"""Detectors and classifiers by name: built in, of installed packages, or ready objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from difflib import get_close_matches
from importlib import metadata, resources
from pathlib import Path
from typing import Any, TypeVar

import numpy.typing as npt

from mien import hub
from mien.errors import MienError, ModelError, PluginError, UsageError
from mien.expressions.actions import ActionModel, BlendshapeModel
from mien.expressions.attributes import AttributeModel
from mien.expressions.base import EmotionClassifier
from mien.expressions.heads import Head, HeadedClassifier
from mien.expressions.onnx import OnnxClassifier
from mien.faces.detectors import BUILTIN, make_detector
from mien.faces.detectors.base import FaceDetector
from mien.faces.detectors.callable import CustomDetector
from mien.faces.identity import IdentityModel
from mien.faces.mesh import FaceMesh
from mien.faces.model import FaceModel
from mien.labels import ACTIONS, ATTRIBUTES, IDENTITY, LANDMARKS
from mien.models.card import ModelCard
from mien.types import Faces

#: A name, an object, a function from an image to boxes, or the boxes themselves.
DetectorLike = (
    str | FaceDetector | Callable[..., Any] | Faces | Sequence[Sequence[float]] | npt.NDArray[Any]
)
T = TypeVar("T", bound=Sized)
DEFAULT_DETECTOR = "yunet"
DEFAULT_CLASSIFIER = "mien-mobilenet"
#: Expression models that ship in the wheel.
CLASSIFIERS = hub.PACKAGED
#: The networks of apparent age and gender, and of identity vectors; they ship, too.
ATTRIBUTE_MODEL = "faceres"
IDENTITY_MODEL = "mobilefacenet"
#: What an analyzer may be asked for that comes from further networks.
FACE_OUTPUTS = (*ATTRIBUTES, IDENTITY, ACTIONS, LANDMARKS)
DETECTOR_GROUP = "mien.detectors"
CLASSIFIER_GROUP = "mien.classifiers"


def model_path(name: str) -> Path:
    """Path of a model that ships with mien.

    Raises:
        ModelError: it is missing: the package was copied without being built.
    """
    path = Path(str(resources.files("mien"))) / "weights" / f"{name}.onnx"
    if not path.is_file():
        raise ModelError(f"mien's model {name} is missing from {path.parent}; reinstall mien.")
    return path


def find_model(name: str | Path) -> Path:
    """Path of an expression model's file, by name or path.

    Raises:
        ModelError: it is missing, or has not been fetched.
        UsageError: there is no model of that name.
    """
    return _network(str(name))[0]


def load_detector(detector: DetectorLike, **options: Any) -> FaceDetector:
    """Load a face detector by name, or wrap what you have as one.

    Args:
        detector: ``yunet``, ``mtcnn``, ``haar``, the name of an installed plug-in, an object with
            ``detect(image)``, any function from an image to boxes, or the boxes themselves.
        options: passed to the detector, such as ``min_score`` and ``min_face``.

    Raises:
        UsageError: the name is unknown, or the detector has no such option.
    """
    if isinstance(detector, str):
        if detector in BUILTIN:
            return make_detector(detector, **options)
        plugin: FaceDetector = _plugin(DETECTOR_GROUP, detector, BUILTIN, options)
        return plugin
    if isinstance(detector, FaceDetector):
        if options:
            raise UsageError(f"{', '.join(options)} cannot be set on a ready detector.")
        return detector
    if callable(detector) or isinstance(detector, Faces | Sequence) or hasattr(detector, "shape"):
        return CustomDetector(detector, **options)
    raise UsageError(
        "a detector is a name, an object with detect(image), a function or boxes, "
        f"got {detector!r}."
    )


def load_classifier(
    classifier: str | Path | EmotionClassifier,
    card: ModelCard | Mapping[str, Any] | None = None,
    heads: Sequence[str | Path | Head] = (),
    **options: Any,
) -> EmotionClassifier:
    """Load an expression classifier by name or file, or check a ready one.

    Args:
        classifier: ``mien-mobilenet``, a model that was fetched or added (``mien models``), the
            name of an installed plug-in, the path of an ``.onnx`` file, or an object with
            ``labels``, ``input_size`` and ``classify(crops)``.
        card: labels and preprocessing, for an ``.onnx`` file that does not carry them.
        heads: files of ``mien train-head`` on this model's features, see `HeadedClassifier`.
        options: ``threads``, ``batch_size`` and ``also`` for ONNX models, see `OnnxClassifier`.

    Raises:
        UsageError: the name is unknown.
        ModelError: the file is missing or damaged, its labels are unknown, or a model of the
            hub's list has not been fetched; or a head was trained on another model.
    """
    if heads:
        model = load_classifier(classifier, card, **options)
        if not isinstance(model, OnnxClassifier):
            raise UsageError("heads need an .onnx model in front of them.")
        opened = [head if isinstance(head, Head) else Head(head) for head in heads]
        return HeadedClassifier(model, opened)
    if isinstance(classifier, str | Path):
        name = str(classifier)
        if is_network(name):
            path, own_card = _network(name)
            return OnnxClassifier(path, card or own_card, **options)
        if card is not None:
            raise UsageError(f"{name} is not an .onnx file and takes no card.")
        plugin: EmotionClassifier = _plugin(CLASSIFIER_GROUP, name, CLASSIFIERS, options)
        return plugin
    if isinstance(classifier, EmotionClassifier):
        if options or card is not None:
            raise UsageError("a ready classifier takes no card and no options.")
        return classifier
    if callable(classifier):
        raise UsageError(
            "a function alone has no labels; wrap it: "
            "CustomClassifier(function, labels, input_size)."
        )
    raise UsageError(
        f"a classifier is a name, an .onnx file or an object with classify(crops), "
        f"got {classifier!r}."
    )


def load_face_models(names: Collection[str], **options: Any) -> tuple[FaceModel, ...]:
    """The further networks that some of `FACE_OUTPUTS` need; other names are left to others."""
    models: list[FaceModel] = []
    if attributes := [name for name in names if name in ATTRIBUTES]:
        models.append(AttributeModel(model_path(ATTRIBUTE_MODEL), attributes, **options))
    if IDENTITY in names:
        models.append(load_identity(**options))
    if asked := tuple(name for name in (ACTIONS, LANDMARKS) if name in names):
        shapes = BlendshapeModel(model_path("face_blendshapes"), **options)
        models.append(ActionModel(load_mesh(**options), shapes, asked))
    return tuple(models)


def load_mesh(**options: Any) -> FaceMesh:
    """The network that finds 478 points of each face, with both irises.

        faces = mien.load_detector("mtcnn").detect(image)
        points = mien.load_mesh()(image, faces).points

    Args:
        options: ``threads`` and ``batch_size``, see `mien.faces.mesh.FaceMesh`.
    """
    return FaceMesh(model_path("face_mesh"), **options)


def load_identity(**options: Any) -> IdentityModel:
    """The network that computes identity vectors, see `mien.faces.identity`."""
    return IdentityModel(model_path(IDENTITY_MODEL), **options)


def plain_settings(settings: Any) -> dict[str, Any]:
    """The settings of a detector, as they come back from a table.

    Raises:
        PluginError: they are not plain values.
    """
    try:
        return dict(json.loads(json.dumps(dict(settings))))
    except (TypeError, ValueError) as error:
        raise PluginError(f"the settings of a detector must be plain values: {error}.") from error


def is_network(classifier: Any) -> bool:
    """Whether `load_classifier` would open an `OnnxClassifier`."""
    name = str(classifier) if isinstance(classifier, str | Path) else ""
    entry = hub.entry(name)
    listed = entry is not None and entry.kind == "classifier"
    is_own = name in CLASSIFIERS or name in hub.own_models()
    return is_own or name.lower().endswith(".onnx") or listed


def _network(name: str) -> tuple[Path, dict[str, Any] | None]:
    """The file of a model by name or path, and its card where that is beside it."""
    if name in CLASSIFIERS:
        return model_path(name), None
    if name.lower().endswith(".onnx"):
        if not Path(name).is_file():
            raise ModelError(f"there is no model file {name}.")
        return Path(name), None
    if name in hub.own_models():
        return hub.own_models()[name], hub.own_card(name)
    return hub.path_of(name), hub.find(name).card_fields()


def _plugin(group: str, name: str, builtin: Sequence[str], options: Mapping[str, Any]) -> Any:
    """Make the plug that an installed package offers under `name`."""
    plugins = {entry.name: entry for entry in metadata.entry_points(group=group)}
    if name not in plugins:
        kind = group.removeprefix("mien.")[:-1]
        names = [*builtin, *sorted(plugins)]
        if kind == "classifier":
            names += [*hub.own_models(), *(e.name for e in hub.ENTRIES if e.kind == kind)]
        near = get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        files = ", or an .onnx file" if kind == "classifier" else ""
        raise UsageError(
            f"there is no {kind} {name!r}; {hint}known: {', '.join(dict.fromkeys(names))}{files}."
        )
    try:
        return plugins[name].load()(**options)
    except Exception as error:
        raise PluginError(f"the plug-in {name!r} cannot be created: {error}") from error


def guarded(plug: Callable[[Any], Any], argument: Any, kind: type[T], rows: int | None = None) -> T:
    """Call a plug and check its answer; an exception of its own becomes one sentence.

    It must return a `kind`, with `rows` rows where a number is given.

    Raises:
        PluginError: it failed, or returned something else.
    """
    owner = type(getattr(plug, "__self__", plug)).__name__
    try:
        answer = plug(argument)
    except UsageError as error:  # invalid values made by the plug, not by the caller
        raise PluginError(f"{owner} violated its contract: {error}") from error
    except MienError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())  # OpenCV's messages have several lines
        raise PluginError(f"{owner} raised {type(error).__name__}: {words}") from error
    wanted = f"mien.{kind.__name__}" + ("" if rows is None else f" with {rows} rows")
    if not isinstance(answer, kind):
        hint = "; pass a function itself to have its boxes converted" if kind is Faces else ""
        raise PluginError(f"{owner} must return {wanted}, got {type(answer).__name__}{hint}.")
    if rows is not None and len(answer) != rows:
        raise PluginError(f"{owner} must return {wanted}, got {len(answer)}.")
    return answer
