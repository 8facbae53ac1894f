"""``mien finetune``: adapts a model to labeled faces of the user's."""

from __future__ import annotations

from mien.cli import options
from mien.cli.exit_codes import extra


def finetune(
    data: options.LabelledFaces,
    output: options.ModelOutput,
    model: options.Model = "mien-mobilenet",
    labels: options.Labels = None,
    photos: options.Photos = False,
    overwrite: options.Overwrite = False,
) -> None:
    """Adapt a model to your own faces and labels.

    A few hundred faces, or one person, are enough. Unless the data has splits, 30 % of it is held
    out to measure whether it helped.

    \b
    Examples:
      mien finetune my_faces/ -o mine.onnx
      mien finetune photos.csv --photos -o mine.onnx
    """
    with extra("train"):
        from mien.training.expressions.finetune import finetune as train
    from mien.cli.console import answer, note, steps
    from mien.cli.output.evaluation import show_comparison
    from mien.cli.output.training import new_model, training_progress
    from mien.datasets import load_faces
    from mien.plugins import find_model, load_detector

    new_model(output, overwrite=overwrite)
    start = find_model(model)
    find = load_detector("yunet").detect if photos else None
    faces = load_faces(data, labels=options.meanings(labels), find=find, progress=steps("reading"))
    for line in faces.describe():
        note(line)
    tuned = train(start, faces, output, training_progress(epochs=False), steps("testing"))
    note(f"trained on {tuned.train:,} faces, tested on {tuned.test:,} others")
    show_comparison(tuned.gain, "before", "after", json=False)
    if tuned.gain.overall.difference <= 0:
        note("it did not help: keep the model that you had, or label more faces.")
    answer(tuned.path)
