"""The face mesh: against MediaPipe's own answers, and what it does where there is no face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import mien
from mien.expressions.actions import BlendshapeModel
from mien.faces.gaze import LEFT_EYE, RIGHT_EYE, eye_openness, gaze_angles, head_points
from mien.faces.geometry import turned_square_matrix
from mien.faces.mesh import SIDE, FaceMesh, Mesh, MeshTracker, face_regions
from mien.faces.pose import canonical_face, head_angles, head_rotations
from mien.media.images import read_image
from mien.plugins import model_path
from mien.types import Faces, FloatArray, Floats, Image

GOLDEN = Path(__file__).parent / "golden" / "mesh.npz"


@pytest.fixture(scope="module")
def net() -> FaceMesh:
    return mien.load_mesh(threads=1)


@pytest.fixture(scope="module")
def shapes() -> BlendshapeModel:
    return BlendshapeModel(model_path("face_blendshapes"), threads=1)


@pytest.fixture(scope="module")
def face() -> Faces:
    """The face in the photo that ships with mien."""
    box = np.array([[181, 64, 265, 171]], np.float32)
    points = np.array([[[204, 100], [246, 103], [225, 127], [201, 139], [244, 141]]], np.float32)
    return Faces(box, landmarks=points)


def eye_distance(points: Any) -> float:
    return float(np.hypot(*(points[263, :2] - points[33, :2])))


def as_mediapipe_samples(net: FaceMesh, image: Image, region: Floats) -> Mesh:
    """The mesh as MediaPipe computes it on a processor: without averaging, half a pixel off."""
    x, y, side, angle = region
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])
    matrix = turned_square_matrix(box, SIDE, float(np.degrees(angle)))
    crop = cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    crop_region = np.array([[SIDE / 2, SIDE / 2, SIDE, 0.0]])
    mesh = net.locate(np.asarray(crop, np.uint8), crop_region)
    flat = mesh.points[..., :2].astype(np.float64) @ matrix_inverse(matrix)[:, :2].T
    points = np.concatenate(
        [flat + matrix_inverse(matrix)[:, 2], mesh.points[..., 2:] * side / SIDE], axis=2
    )
    return Mesh(points.astype(np.float32), mesh.presence)


def matrix_inverse(matrix: Floats) -> Floats:
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def correlations(ours: FloatArray, theirs: FloatArray) -> Floats:
    """Of each shape over the faces; of shapes that never move, nothing can be said."""
    moving = theirs.std(axis=0) > 1e-4
    pairs = zip(ours.T[moving], theirs.T[moving], strict=True)
    return np.array([np.corrcoef(one, other)[0, 1] for one, other in pairs])


def test_points_and_blendshapes_are_those_of_mediapipe(
    shared: Path, net: FaceMesh, shapes: BlendshapeModel
) -> None:
    golden = np.load(GOLDEN)
    theirs = golden["blendshapes"][:, 1:]
    ours = []
    for name, region, fractions in zip(
        golden["photos"], golden["regions"], golden["points"], strict=True
    ):
        image = read_image(shared / "media" / "photos" / str(name))
        mesh = as_mediapipe_samples(net, image, region)
        wanted = fractions.astype(np.float64) * region[2] + [*region[:2], 0]
        off = np.linalg.norm(mesh.points[0, :, :2] - wanted[:, :2], axis=1)
        assert off.mean() < 0.01 * eye_distance(wanted), name
        ours.append(shapes.estimate(mesh.points.astype(np.float64))[0])
        own = net.locate(image, region[None])  # as mien samples crops: centered, and averaged
        off = np.linalg.norm(own.points[0, :, :2] - wanted[:, :2], axis=1)
        assert off.mean() < 0.01 * eye_distance(wanted), name
    assert correlations(np.array(ours), theirs).min() >= 0.98
    assert np.abs(np.array(ours) - theirs).mean(axis=0).max() <= 0.02


@pytest.mark.slow
def test_blendshapes_agree_with_mediapipe_from_end_to_end(
    shared: Path, net: FaceMesh, shapes: BlendshapeModel
) -> None:
    golden = np.load(GOLDEN)
    detector = mien.load_detector("yunet", threads=1)
    ours = []
    for name, region in zip(golden["photos"], golden["regions"], strict=True):
        image = read_image(shared / "media" / "photos" / str(name))
        faces = detector.detect(image)
        apart = np.hypot(*((faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2 - region[:2]).T)
        ours.append(shapes.estimate(net(image, faces[int(apart.argmin())]).level_points)[0])
    theirs = golden["alone"][:, 1:]
    assert np.corrcoef(np.ravel(ours), theirs.ravel())[0, 1] >= 0.97
    assert np.abs(np.array(ours) - theirs).mean() <= 0.02


def test_poses_agree_with_mediapipe_in_the_middle_of_an_image(shared: Path, net: FaceMesh) -> None:
    golden = np.load(GOLDEN)
    flip = np.diag([1.0, -1.0, -1.0])
    apart = []
    for name, region, pose in zip(
        golden["photos"], golden["regions"], golden["poses"], strict=True
    ):
        image = read_image(shared / "media" / "photos" / str(name))
        if np.abs(region[:2] / image.shape[1::-1] - 0.5).max() > 0.1:
            continue  # MediaPipe's poses are relative to the middle of the image
        ours = head_angles(net.locate(image, region[None]).rotations)
        theirs = head_angles((flip @ pose[:3, :3] @ flip)[None])
        apart.append(np.abs(np.subtract(ours, theirs))[:, 0])
    assert len(apart) >= 10
    assert np.max(apart) < 7
    assert np.mean(apart) < 1.5


def test_a_box_without_a_face_has_no_points(net: FaceMesh, astronaut: Image) -> None:
    boxes = np.array([[300, 300, 480, 480], [10, 200, 90, 280], [181, 64, 265, 171]], np.float32)
    mesh = net(astronaut, Faces(boxes))
    assert mesh.trusted.tolist() == [False, False, True]
    assert np.isnan(mesh.points[:2]).all()
    assert (mesh.presence[:2] < 0.5).all()
    assert mesh.presence[2] > 0.99
    assert np.isnan(mesh.rotations[:2]).all()


@pytest.mark.parametrize(
    "box",
    [
        [100, 100, 100, 100],
        [3, 3, 5, 5],
        [5000, 5000, 5100, 5100],
        [-900, -900, -800, -800],
        [-1e5, -1e5, 1e5, 1e5],
    ],
)
def test_impossible_boxes_have_no_points(net: FaceMesh, astronaut: Image, box: list[float]) -> None:
    for image in (astronaut, astronaut[:1, :1]):
        assert not net(image, Faces(np.array([box], np.float32))).trusted.any()


def test_no_face_is_an_empty_mesh(net: FaceMesh, astronaut: Image) -> None:
    mesh = net(astronaut, Faces.empty())
    assert mesh.points.shape == (0, 478, 3)
    assert len(mesh) == 0
    assert mesh.regions.shape == (0, 4)
    assert len(MeshTracker(net)(astronaut, Faces.empty())) == 0


def test_faces_of_a_batch_do_not_depend_on_each_other(
    net: FaceMesh, astronaut: Image, face: Faces
) -> None:
    many = Faces.concat([face] * 5 + [Faces(np.array([[10, 200, 90, 280]], np.float32))])
    together = net(astronaut, many)
    alone = net(astronaut, face)
    np.testing.assert_allclose(together.points[4], alone.points[0], atol=0.5)
    regions = np.repeat(face_regions(face), 6, axis=0)
    batch, single = net.locate(astronaut, regions), net.locate(astronaut, regions[:1])
    np.testing.assert_allclose(batch.points[5], single.points[0], atol=0.001)


def test_points_lie_on_the_face(net: FaceMesh, astronaut: Image, face: Faces) -> None:
    points = net(astronaut, face).points[0]
    assert face.landmarks is not None
    places = points[[468, 473, 4, 61, 291], :2]  # irises, nose tip, mouth corners
    assert np.abs(places - face.landmarks[0]).max() < 4


def test_a_mirrored_face_has_mirrored_points(net: FaceMesh, astronaut: Image, face: Faces) -> None:
    model = canonical_face().points
    partner = [int(((model - point * [-1, 1, 1]) ** 2).sum(axis=1).argmin()) for point in model]
    width = astronaut.shape[1]
    box = face.boxes[0]
    mirrored = Faces(np.array([[width - box[2], box[1], width - box[0], box[3]]]))
    one = net(astronaut, Faces(face.boxes)).points[0, :468]
    other = net(np.ascontiguousarray(astronaut[:, ::-1]), mirrored).points[0, partner]
    assert abs(np.mean(one[:, 0] + other[:, 0] - width) / 2) < 0.01 * eye_distance(one)


@pytest.mark.parametrize("degrees", [20, 90, 180])
def test_actions_do_not_depend_on_the_roll_of_a_head(
    net: FaceMesh, shapes: BlendshapeModel, astronaut: Image, face: Faces, degrees: int
) -> None:
    center = (float(face.boxes[0, [0, 2]].mean()), float(face.boxes[0, [1, 3]].mean()))
    turn = cv2.getRotationMatrix2D(center, -degrees, 1)  # clockwise in the image
    rolled = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512)), np.uint8)
    region = face_regions(face)
    upright, level = net.locate(astronaut, region), region.copy()
    level[0, 3] += np.radians(degrees)
    away = region[0, :2] - center
    level[0, :2] = center + turn[:, :2] @ away
    other = net.locate(rolled, level)
    apart = shapes.estimate(upright.level_points) - shapes.estimate(other.level_points)
    assert np.abs(apart).mean() < 0.02
    rolls = [head_angles(mesh.rotations)[2][0] for mesh in (upright, other)]
    assert (rolls[1] - rolls[0] - degrees + 180) % 360 - 180 == pytest.approx(0, abs=3)


def test_a_person_in_a_video_is_looked_for_once_around_the_last_points(
    net: FaceMesh, astronaut: Image, face: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[Floats] = []
    locate = net.locate

    def counted(image: Image, regions: Floats) -> Mesh:
        searched.append(regions)
        return locate(image, regions)

    monkeypatch.setattr(net, "locate", counted)
    tracker = MeshTracker(net)
    tracked = Faces(face.boxes, landmarks=face.landmarks, track_ids=np.array([7]))
    first = tracker(astronaut, tracked)
    assert len(searched) == 2  # around the box, and around the points
    second = tracker(astronaut, tracked)
    assert len(searched) == 3
    np.testing.assert_allclose(searched[2], first.regions)
    assert np.abs(first.points - second.points).max() < 2
    away = Faces(face.boxes + np.float32(200), track_ids=np.array([7]))
    tracker(astronaut, away)  # a jump: the last points say nothing
    np.testing.assert_allclose(searched[3], face_regions(away))
    tracker(astronaut, Faces(face.boxes, landmarks=face.landmarks))  # no ids: nobody is followed
    np.testing.assert_allclose(searched[4], face_regions(face))


def test_a_face_that_is_lost_around_its_last_points_is_looked_for_around_its_box(
    net: FaceMesh, astronaut: Image, face: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, searched, locate = net(astronaut, face), list[Floats](), net.locate

    def blind_at_first(image: Image, regions: Floats) -> Mesh:
        searched.append(regions)
        mesh = locate(image, regions)
        return mesh if len(searched) > 1 else Mesh(mesh.points * np.nan, mesh.presence * 0)

    monkeypatch.setattr(net, "locate", blind_at_first)
    mesh = net(astronaut, face, before)
    np.testing.assert_allclose(searched[0], before.regions)
    np.testing.assert_allclose(searched[1], face_regions(face))
    assert len(searched) == 2
    assert mesh.trusted.all()


def test_points_that_a_second_look_loses_are_kept(
    net: FaceMesh, astronaut: Image, face: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    meshes, locate = list[Mesh](), net.locate

    def blind_later(image: Image, regions: Floats) -> Mesh:
        mesh = locate(image, regions)
        meshes.append(mesh if not meshes else Mesh(mesh.points * np.nan, mesh.presence * 0))
        return meshes[-1]

    monkeypatch.setattr(net, "locate", blind_later)
    assert net(astronaut, face).equals(meshes[0])
    assert len(meshes) == 2


def projected(pitch: float, yaw: float, roll: float) -> FloatArray:
    """Points of the mean face, turned by known angles in degrees, as a camera at 60 cm sees it."""
    a, b, c = np.radians([-pitch, -yaw, roll])
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    model = canonical_face()
    centered = model.points - model.points[model.weights > 0].mean(axis=0)
    places = centered @ (np.array(about_z) @ about_y @ about_x).T + [0, 0, 60]
    points = np.zeros((1, 478, 3), np.float32)
    points[0, :468, :2] = places[:, :2] / places[:, 2:] * 900 + [320, 240]
    return points


@pytest.mark.parametrize(
    "angles",
    [(0, 0, 0), (20, 0, 0), (-20, 0, 0), (0, 40, 0), (0, -40, 0), (0, 0, 60), (10, -30, 15)],
)
def test_the_pose_of_known_turns(angles: tuple[float, float, float]) -> None:
    got = [float(angle[0]) for angle in head_angles(head_rotations(projected(*angles)))]
    assert got == pytest.approx(angles, abs=0.5)


def test_gaze_follows_the_irises_and_needs_open_eyes() -> None:
    points = projected(0, 0, 0).astype(np.float64)
    for eye in (RIGHT_EYE, LEFT_EYE):
        outer, inner, iris, lids = eye
        middle = (points[0, outer] + points[0, inner]) / 2
        width = np.linalg.norm(points[0, outer] - points[0, inner])
        points[0, iris] = middle + np.array([0.1, -0.07, 0]) * width
        for upper, lower in lids:
            half = np.array([0, 0.15, 0]) * width
            points[0, upper], points[0, lower] = middle - half, middle + half
    pitch, yaw = gaze_angles(points)
    assert pitch[0] == pytest.approx(0, abs=0.5)
    assert yaw[0] == pytest.approx(15.4, abs=0.5)  # towards the image's right
    assert eye_openness(points)[0][0] == pytest.approx(0.3, abs=0.01)
    for upper, lower in LEFT_EYE[3] + RIGHT_EYE[3]:
        points[0, upper] = points[0, lower]
    assert np.isnan(gaze_angles(points)).all()
    assert eye_openness(points)[1][0] == pytest.approx(0, abs=0.01)


def test_head_points_undo_the_turn() -> None:
    front, turned = projected(0, 0, 0), projected(0, 0, 40)
    undone = head_points(turned, head_rotations(turned))[0, :468]
    straight = head_points(front, head_rotations(front))[0, :468]
    apart = undone[:, :2] - straight[:, :2]
    assert np.ptp(apart, axis=0).max() < 0.5


def test_a_mesh_says_which_shapes_it_takes() -> None:
    with pytest.raises(mien.UsageError, match="478"):
        Mesh(np.zeros((1, 468, 3), np.float32), np.ones(1, np.float32))
