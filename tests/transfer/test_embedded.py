"""The embedded backend with tiny random weights: every option reaches the pixels, bad input gets a sentence."""

import json
import threading
from dataclasses import fields, replace

import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp

from cosmos.bridge.errors import ModelError, ModelMemoryError, ModelWeightsError
from cosmos.bridge.srgb import srgb_to_linear
from cosmos.bridge.transfer.embedded import EmbeddedOptions, EmbeddedTransfer
from cosmos.bridge.types import ControlKind, ControlWeights, LightMaps, Orthographic, PixelEdges, TransferRequest
from cosmos.bridge.types.probe import FALLING_SHAPE
from heard import heard_as
from tone import toned, untoned


@pytest.fixture(scope="module")
def model(tiny_folder):
    model = EmbeddedTransfer(tiny_folder)
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture
def ask(clip, controls):
    def build(**changes):
        fields = {"weights": ControlWeights(edge=0.4, depth=0.4), "prompt": "snow at night", "seed": 3, **changes}
        return TransferRequest(clip=fields.pop("clip", clip), controls=fields.pop("controls", controls), **fields)

    return build


def pixels(model, request):
    return model.transfer(request).rgb.numpy().astype(int)


CHANGES = (
    {"prompt": "heavy rain at noon"},
    {"negative_prompt": "snow"},
    {"seed": 4},
    {"guidance": 0.3},
    {"weights": ControlWeights(edge=0.4, depth=0.2)},
)


def test_every_field_of_a_request_and_every_option_is_changed_or_refused_here(model):
    """Clip and controls are changed below; steps, overlap and preserving are refused, other weights loaded."""
    named = {name for change in CHANGES for name in change}
    assert named | {"clip", "controls", "num_steps", "overlap", "preserve"} == {
        item.name for item in fields(TransferRequest)
    }
    assert {item.name for item in fields(model.Options)} == {"weights", "dtype", "distilled"}


@pytest.mark.parametrize(
    "change",
    [
        *CHANGES,
        {"weights": ControlWeights(edge=0.4, depth=0.4, seg=0.2)},
        {"weights": ControlWeights(edge=0.1, depth=0.4)},
        {"weights": ControlWeights(edge=0.1, depth=0.1, vis=0.8)},
    ],
    ids=str,
)
def test_every_option_reaches_the_pixels(model, ask, change, monkeypatch):
    # Tiny random weights read every prompt alike, so the reader answers for a trained one.
    from cosmos.models.embedded import text

    def encode(self, words):
        return heard_as(0.1, **{name: 0.7 * (name in words) for name in ("rain", "snow")})

    monkeypatch.setattr(text.PromptReader, "_encode", encode)
    assert (pixels(model, ask()) != pixels(model, ask(**change))).mean() > 0.01


@pytest.mark.parametrize("kind", [ControlKind.EDGE, ControlKind.DEPTH, ControlKind.SEG, ControlKind.VIS])
def test_each_control_video_reaches_the_pixels(model, ask, clip, controls, kind):
    weights = ControlWeights(edge=0.25, depth=0.25, seg=0.25, vis=0.25)
    other = [
        replace(signal, video=wp.zeros_like(signal.video)) if signal.kind == kind else signal for signal in controls
    ]
    changed = ask(weights=weights, controls=replace(controls, signals=tuple(other)))
    assert (pixels(model, ask(weights=weights)) != pixels(model, changed)).mean() > 0.01


@pytest.mark.parametrize("name", ["rgb", "depth", "normals", "instance_ids"])
def test_each_buffer_of_the_clip_reaches_the_pixels(model, ask, clip, name):
    buffer = getattr(clip, name).numpy()
    other = np.roll(buffer, 9, axis=2) if name != "normals" else np.roll(buffer, 1, axis=-1)
    changed = replace(clip, **{name: wp.array(np.ascontiguousarray(other), dtype=getattr(clip, name).dtype)})
    assert (pixels(model, ask()) != pixels(model, ask(clip=changed))).mean() > 0.002


def test_a_vis_weight_of_one_keeps_the_picture_there_to_the_bit(model, ask, clip):
    half = np.zeros(clip.depth.shape, np.float32)
    half[:, :, :25] = 1.0
    weights = ControlWeights(
        vis=wp.array(half, dtype=wp.float32, device="cpu"), seg=wp.array(1.0 - half, dtype=wp.float32, device="cpu")
    )
    out, source = pixels(model, ask(weights=weights)), clip.rgb.numpy()
    np.testing.assert_array_equal(out[:, :, :25], source[:, :, :25])
    assert (out[:, :, 25:] != source[:, :, 25:]).mean() > 0.5


def test_a_map_of_one_number_is_that_number(model, ask, clip):
    flat = wp.full(clip.depth.shape, 0.4, dtype=wp.float32, device="cpu")
    np.testing.assert_array_equal(
        pixels(model, ask()), pixels(model, ask(weights=ControlWeights(edge=0.4, depth=flat)))
    )


def test_frames_do_not_depend_on_how_many_go_at_once(model, ask, monkeypatch):
    whole = pixels(model, ask())
    monkeypatch.setattr("cosmos.bridge.transfer.embedded._PIXELS_AT_ONCE", 1)
    # Convolutions of other batch sizes may sum in another order: one level apart at most.
    assert np.abs(whole - pixels(model, ask())).max() <= 1


def test_the_last_frame_is_painted_beside_the_one_before_and_what_it_raises_is_raised(model, ask, monkeypatch):
    """With all of torch's threads it would wait for them busily, which a machine that has other work pays for."""
    from cosmos.models.embedded.sampling import EmbeddedModel

    monkeypatch.setattr("cosmos.bridge.transfer.embedded._PIXELS_AT_ONCE", 1)
    here, paint, painting = threading.get_ident(), EmbeddedModel.paint, []
    frames = model.transfer(ask()).rgb.shape[0]

    def watched(self, *args, **kwargs):
        painting.append(threading.get_ident())
        if len(painting) == 2 * frames:
            raise MemoryError("no room")
        return paint(self, *args, **kwargs)

    monkeypatch.setattr(EmbeddedModel, "paint", watched)
    model.transfer(ask(), progress=lambda stage, done, total: painting.append(None) if done == total else None)
    assert painting.index(None) == frames and here not in painting  # and it is told when it is done
    painting.remove(None)
    with pytest.raises(ModelMemoryError, match="no room"):
        model.transfer(ask())


def test_words_it_does_not_know_are_reported(model, ask):
    notes = " ".join(model.transfer(ask(prompt="a cyberpunk nigth in Schnee, überall")).provenance.notes)
    assert "Not understood: 'überall', 'cyberpunk', 'schnee'." in notes
    assert "Read as: 'nigth' as 'night'." in notes


def test_a_prompt_of_ten_thousand_characters_is_cut_and_said(model, ask):
    notes = model.transfer(ask(prompt="fog and snow, " * 800)).provenance.notes
    assert any("words of the prompt were not read" in note for note in notes)


def test_what_cannot_be_placed_without_depth_is_said(model, ask, clip):
    flat = replace(clip, depth=None, normals=None, instance_ids=None)
    result = model.transfer(ask(clip=flat))
    assert any("has no depth" in note for note in result.provenance.notes)
    assert any(
        "depth has no weight" in n for n in model.transfer(ask(weights=ControlWeights(edge=1.0))).provenance.notes
    )


def test_what_the_prompt_says_is_told_beside_what_guidance_makes_of_it(model, ask):
    timid, plain = (model.transfer(ask(guidance=guidance)).provenance.effective for guidance in (0.3, 1.0))
    assert timid["asked"] == plain["asked"] == plain["conditions"] != timid["conditions"]


def test_the_effective_settings_hold_the_conditions(model, ask):
    effective = model.transfer(ask(guidance=1.5)).provenance.effective
    assert effective["guidance"] == 1.5 and effective["num_steps"] == 1
    assert set(effective["conditions"]) >= {"sun_elevation", "fog", "rain", "snow"}
    assert effective["weights"] == {"edge": 0.4, "depth": 0.4}
    json.dumps(effective)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"num_steps": 4}, r"paints in 1 step with these weights, got num_steps=4"),
        ({"overlap": 2}, r"overlap=2; cosmos-transfer2\.5 or cosmos3 can overlap them"),
        ({"guidance": 7.5}, r"guidance in \[0, 3\], got 7.5"),
        ({"weights": ControlWeights(lidar=1.0)}, "lidar"),
        ({"weights": ControlWeights()}, "all weights are 0"),
    ],
)
def test_what_it_cannot_do_is_refused_in_a_sentence(model, ask, change, sentence):
    with pytest.raises(ModelError, match=sentence):
        model.transfer(ask(**change))


def test_a_lens_it_has_no_light_for_is_refused(model, ask, clip):
    cameras = tuple(replace(camera, lens=Orthographic()) for camera in clip.cameras)
    with pytest.raises(ModelError, match=r"pinhole cameras only, but .* has the lens orthographic"):
        model.transfer(ask(clip=replace(clip, cameras=cameras)))


def test_a_weight_map_of_another_size_is_refused(model, ask):
    small = wp.full((3, 5, 5), 0.5, dtype=wp.float32, device="cpu")
    with pytest.raises(ModelError, match="weight map of edge"):
        model.transfer(ask(weights=ControlWeights(edge=small)))


@pytest.mark.parametrize("value", [np.nan, -0.5, 1.5])
def test_a_weight_map_with_values_that_are_no_weights_is_refused(model, ask, clip, value):
    weights = np.full(clip.depth.shape, 0.5, np.float32)
    weights[-1, 2, 3] = value
    with pytest.raises(ModelError, match=r"weight map of edge must lie in \[0, 1\], but it has values outside, or NaN"):
        model.transfer(ask(weights=ControlWeights(edge=wp.array(weights, dtype=wp.float32, device="cpu"))))


def test_depth_that_is_no_number_is_said(model, ask, clip):
    depth = clip.depth.numpy().copy()
    depth[0, 3:5, 2:4] = np.nan
    changed = replace(clip, depth=wp.array(depth, dtype=wp.float32, device="cpu"))
    assert "The depth of 4 pixels is NaN; they count as sky." in model.transfer(ask(clip=changed)).provenance.notes


def test_what_is_not_understood_of_a_long_prompt_is_told_in_a_line(model, ask):
    words = [f"{'q' * 60}{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(150)]
    (note,) = [n for n in model.transfer(ask(prompt=" ".join(words))).provenance.notes if n.startswith("Not")]
    assert len(note) < 2000 and repr("q" * 48 + "...") in note and note.endswith(" more.")


def test_damaged_weights_are_refused_by_name(tiny_folder, tmp_path):
    for path in tiny_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged = bytearray((tmp_path / "net.safetensors").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "net.safetensors").write_bytes(damaged)
    with pytest.raises(ModelWeightsError, match=r"net\.safetensors has sha256"):
        EmbeddedTransfer(tmp_path).load("cpu")
    (tmp_path / "net.safetensors").unlink()
    with pytest.raises(ModelWeightsError, match="cannot be read"):
        EmbeddedTransfer(tmp_path).load("cpu")


def test_missing_weights_are_said_before_loading(tmp_path):
    with pytest.raises(ModelWeightsError, match=r"config\.json"):
        _ = EmbeddedTransfer(tmp_path / "nowhere").spec


def test_a_device_that_is_not_there_is_refused(tiny_folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="sees no CUDA device"):
        EmbeddedTransfer(tiny_folder).load("cuda:0")


@pytest.mark.parametrize(
    ("told", "dtype"),
    [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16"), ({"avx2": True}, "float32")],
)
def test_features_are_what_the_processor_multiplies_fast(tiny_folder, ask, monkeypatch, told, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert EmbeddedTransfer(tiny_folder).transfer(ask()).provenance.dtype == dtype


def test_a_torch_that_tells_nothing_of_its_processor_computes_in_float32(tiny_folder, ask, monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert EmbeddedTransfer(tiny_folder).transfer(ask()).provenance.dtype == "float32"


def test_the_type_of_the_features_can_be_asked_for(tiny_folder, ask):
    made = {}
    for dtype in ("float32", "bfloat16"):
        result = EmbeddedTransfer(EmbeddedOptions(weights=str(tiny_folder), dtype=dtype)).transfer(ask())
        assert result.provenance.dtype == dtype
        made[dtype] = result.rgb.numpy().astype(float)
    apart = np.abs(made["float32"] - made["bfloat16"])
    assert 0.0 < apart.mean() < 1.0


def test_another_type_of_features_is_refused(monkeypatch, tiny_folder):
    with pytest.raises(ValueError, match='must be "float32" or "bfloat16", got \'float16\''):
        EmbeddedOptions(dtype="float16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ModelError, match="float32 on CUDA"):
        EmbeddedTransfer(EmbeddedOptions(weights=str(tiny_folder), dtype="bfloat16")).load("cuda:0")


def test_unloading_frees_the_net(tiny_folder):
    import gc
    import weakref

    model = EmbeddedTransfer(tiny_folder)
    model.load("cpu")
    net = weakref.ref(model._nets.load(None).net)
    model.unload()
    gc.collect()
    assert net() is None


class GreyLight:
    """A probe whose maps are one grey each."""

    def __init__(self, clip, edges=None, **levels):
        self.clip, self.edges, self.levels, self.asked = clip, edges, levels, []

    def light(self, frame, look):
        self.asked.append((frame, look))
        shape = (self.clip.height, self.clip.width)
        maps = {
            name: wp.full((*shape, channels), self.levels.get(name, 90), dtype=wp.uint8, device="cpu")
            for name, channels in (("relit", 3), ("white", 3), ("mirror", 3), ("air", 4))
        }
        falls = wp.full(shape, self.levels.get("open", 90), dtype=wp.uint8, device="cpu")
        known = wp.full(FALLING_SHAPE, self.levels.get("falling", 255), dtype=wp.uint8, device="cpu")
        glow = wp.full((*shape, 3), self.levels.get("glow", 0), dtype=wp.uint8, device="cpu")
        return LightMaps(**maps, glow=glow, open=falls, falling=known, edges=self.edges)

    def close(self):
        pass


@pytest.mark.parametrize("name", ["relit", "white", "mirror", "air", "open"])
def test_each_light_map_reaches_the_pixels(model, ask, clip, name):
    lit, other = (replace(clip, probe=GreyLight(clip, **levels)) for levels in ({}, {name: 200}))
    assert (pixels(model, ask(clip=lit)) != pixels(model, ask(clip=clip))).mean() > 0.01
    assert (pixels(model, ask(clip=lit)) != pixels(model, ask(clip=other))).mean() > 0.002


def test_the_glow_of_lamps_is_laid_over_what_the_net_paints(model, ask, clip):
    lit, other = (replace(clip, probe=GreyLight(clip, **levels)) for levels in ({}, {"glow": 100}))
    dark, glowing = (pixels(model, ask(clip=c, prompt="clear day")) for c in (lit, other))
    share = ((100 / 255.0 + 0.055) / 1.055) ** 2.4  # of sRGB; the level is that of x / (1 + x)
    expected = toned(untoned(dark) + share / (1.0 - share))
    assert np.abs(expected - dark).mean() > 10.0
    middle = np.s_[:, 12:24, 17:33]  # a vignette is drawn after it
    noise = np.abs(glowing.astype(int) - expected)[middle]
    assert noise.mean() < 1.0 and np.percentile(noise, 95.0) <= 2.0  # saturated colours clip


def test_a_pixel_of_an_edge_changes_as_those_whose_surfaces_it_shows(model, ask, clip):
    pixel, first, second = (row * clip.width + column for row, column in ((5, 7), (3, 2), (9, 11)))
    edges = PixelEdges(
        pixels=wp.array([pixel], dtype=wp.int32, device="cpu"),
        lenders=wp.array([[first, second, -3, -2]], dtype=wp.int32, device="cpu"),
    )
    clips = (replace(clip, probe=GreyLight(clip, told)) for told in (None, edges))
    plain, mixed = (pixels(model, ask(clip=lit, prompt="deep snow by day")) for lit in clips)
    plain, mixed = (frames.reshape(len(frames), -1, 3) for frames in (plain, mixed))
    expected = srgb_to_linear(plain[:, [first, second]] / 255.0).mean(axis=1)  # the relit picture is one grey
    assert np.abs(srgb_to_linear(mixed[:, pixel] / 255.0) - expected).max() < 0.006
    assert np.abs(plain[:, pixel] - mixed[:, pixel]).max() > 3
    np.testing.assert_array_equal(np.delete(mixed, pixel, axis=1), np.delete(plain, pixel, axis=1))


def test_nothing_falls_where_the_stage_says_that_a_roof_is(model, ask, clip):
    roofed = model.transfer(ask(clip=replace(clip, probe=GreyLight(clip, falling=0)), prompt="heavy snow"))
    snowy = model.transfer(ask(clip=replace(clip, probe=GreyLight(clip)), prompt="heavy snow"))
    drawn = (roofed.rgb.numpy() != snowy.rgb.numpy()).any(axis=-1)
    assert 0.003 < drawn.mean() < 0.5
    said = "All that is seen lies under a roof, so no flakes or drops were drawn."
    assert said in roofed.provenance.notes and said not in snowy.provenance.notes


def test_nothing_falls_where_the_prompt_says_that_it_only_lies(model, clip, ask, monkeypatch):
    from cosmos.models.embedded import text

    # How much there is stays the same, so that only what falls differs.
    monkeypatch.setattr(text.PromptReader, "_encode", lambda self, words: heard_as(rain=0.6))
    monkeypatch.setattr(text.PromptReader, "_hold", lambda self, vector, chances, prompt, seed: (vector, {"rain"}))
    open_air = replace(clip, probe=GreyLight(clip))
    lying, falling = (model.transfer(ask(clip=open_air, prompt=prompt)) for prompt in ("wet street", "rain"))
    assert 0.003 < (lying.rgb.numpy() != falling.rgb.numpy()).any(axis=-1).mean() < 0.5
    assert lying.provenance.effective["wishes"] == {"falls": False} and falling.provenance.effective["wishes"] == {}
    assert not any("flakes or drops" in note for note in lying.provenance.notes)


def test_the_stage_is_asked_for_the_light_of_the_prompt(model, ask, clip):
    probe = GreyLight(clip)
    effective = model.transfer(ask(clip=replace(clip, probe=probe))).provenance.effective
    assert effective["light"] == "stage" and model.transfer(ask()).provenance.effective["light"] == "picture"
    frames, looks = zip(*probe.asked, strict=True)
    assert frames == tuple(range(clip.num_frames)) and len(set(looks)) == 1
    for name in ("sun_elevation", "fog", "rain", "snow", "exposure"):
        assert getattr(looks[0], name) == pytest.approx(effective["conditions"][name], abs=1e-4)
    assert looks[0].noise == looks[0].vignette == 0.0  # drawn after the net
