import cv2
import numpy as np
import pytest

from cosmos.bridge.controls import (
    DepthSpec,
    EdgeSpec,
    SegSpec,
    VisSpec,
    available_kinds,
    color_of,
    default_specs,
    derive_controls,
    palette,
)
from cosmos.bridge.errors import ControlError
from cosmos.bridge.types import ControlKind


def test_all_four_come_in_order_with_their_settings(device, make_clip):
    clip = make_clip(device)
    controls = derive_controls(clip)
    assert controls.kinds == (ControlKind.EDGE, ControlKind.DEPTH, ControlKind.SEG, ControlKind.VIS)
    for signal in controls:
        assert signal.video.shape == clip.rgb.shape
        assert str(signal.video.device) == device
    assert controls[ControlKind.EDGE].settings == {"preset": "medium", "low": 100, "high": 200}
    depth = clip.depth.numpy()
    near, far = depth[np.isfinite(depth)].min(), depth[np.isfinite(depth)].max()
    assert controls[ControlKind.DEPTH].settings == {"mapping": "inverse", "range": "clip", "near": near, "far": far}
    assert controls[ControlKind.SEG].settings == {"palette": "oklab-fcc-1", "shaded": False}
    assert controls[ControlKind.VIS].settings["diameter"] == 30


def test_edges_are_those_of_cv2_on_the_clip(device, make_clip):
    clip = make_clip(device)
    video = derive_controls(clip, [EdgeSpec(low=300.0, high=500.5)])[ControlKind.EDGE]
    wanted = np.stack([cv2.Canny(frame, 300, 500) for frame in clip.rgb.numpy()])
    np.testing.assert_array_equal(video.video.numpy()[..., 1], wanted)
    assert video.settings == {"preset": "custom", "low": 300, "high": 500}


def test_seg_has_the_colour_of_each_path_in_every_clip(device, make_clip):
    clip = make_clip(device)
    video = derive_controls(clip, kinds=["seg"])[ControlKind.SEG].video.numpy()
    ids = clip.instance_ids.numpy()
    for key, instance in clip.instances.items():
        assert (video[ids == key] == color_of(instance.prim_path)).all()
    assert not video[ids == 0].any()
    renumbered = make_clip(device, instances={1: clip.instances[3], 2: clip.instances[2], 3: clip.instances[1]})
    other = derive_controls(renumbered, kinds=["seg"])[ControlKind.SEG].video.numpy()
    assert (other[ids == 1] == color_of("/World/Crates[3]")).all()


def test_an_instance_nobody_named_is_still_coloured(make_clip):
    clip = make_clip(instances={})
    video = derive_controls(clip, kinds=["seg"])[ControlKind.SEG].video.numpy()
    colors = np.unique(video[clip.instance_ids.numpy() > 0], axis=0)
    assert len(colors) == 3
    assert all((palette() == color).all(axis=1).any() for color in colors)


@pytest.mark.parametrize("up_axis", ["Y", "Z"])
def test_shaded_seg_darkens_what_turns_away(device, make_clip, up_axis):
    clip = make_clip(device, up_axis=up_axis)
    flat = derive_controls(clip, [SegSpec()])[ControlKind.SEG].video.numpy().astype(float)
    shaded = derive_controls(clip, [SegSpec(shaded=True)])[ControlKind.SEG]
    ids = clip.instance_ids.numpy()
    lit, turned = ((shaded.video.numpy()[ids == key] / np.maximum(flat[ids == key], 1.0)).max() for key in (1, 2))
    assert 0.5 <= turned < 0.75 < lit <= 1.0
    assert shaded.settings["shaded"] is True


def test_fixed_depth_range_is_recorded(make_clip):
    signal = derive_controls(make_clip(), [DepthSpec(near=0.5, far=20.0)])[ControlKind.DEPTH]
    assert signal.settings == {"mapping": "inverse", "range": "fixed", "near": 0.5, "far": 20.0}


def test_a_clip_without_any_hit_says_so(make_clip):
    import warp as wp

    empty = wp.full((4, 24, 40), np.inf, dtype=wp.float32, device="cpu")
    signal = derive_controls(make_clip(depth=empty), kinds=["depth"])[ControlKind.DEPTH]
    assert signal.settings["near"] is None
    assert not signal.video.numpy().any()


def test_kinds_pick_among_specs_and_fill_in_defaults(make_clip):
    controls = derive_controls(make_clip(), [EdgeSpec(preset="high"), VisSpec()], [ControlKind.EDGE, "depth"])
    assert controls.kinds == (ControlKind.EDGE, ControlKind.DEPTH)
    assert controls[ControlKind.EDGE].settings["preset"] == "high"
    assert derive_controls(make_clip(), kinds=()).kinds == ()


def test_default_specs_cover_each_kind_once():
    assert [spec.kind for spec in default_specs()] == list(ControlKind)[:4]


@pytest.mark.parametrize(("kind", "buffer"), [("depth", "depth"), ("seg", "instance_ids")])
def test_a_missing_buffer_is_named_with_the_cure(make_clip, kind, buffer):
    clip = make_clip(leave_out=(buffer,))
    assert ControlKind(kind) not in available_kinds(clip)
    with pytest.raises(ControlError, match=rf"The {kind} control needs the clip's {buffer}.*leave {kind} out"):
        derive_controls(clip, kinds=[kind])
    assert derive_controls(clip, kinds=available_kinds(clip)).kinds == available_kinds(clip)


def test_shading_without_normals_is_named(make_clip):
    with pytest.raises(ControlError, match="shaded seg control needs the clip's normals"):
        derive_controls(make_clip(leave_out=("normals",)), [SegSpec(shaded=True)])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"kinds": ["hdmap"]}, "the clip's hdmap, which its source did not give"),
        ({"kinds": ["blur"]}, "got 'blur'"),
        ({"specs": [EdgeSpec(), EdgeSpec(preset="low")]}, "two for edge"),
        ({"specs": [EdgeSpec(preset="soft")]}, "edge control cannot be made: .*knows the presets"),
        ({"specs": [VisSpec(preset="soft")]}, "vis control cannot be made: .*knows the presets"),
    ],
)
def test_what_cannot_be_made_is_refused(make_clip, arguments, match):
    with pytest.raises(ControlError, match=match):
        derive_controls(make_clip(), **arguments)
