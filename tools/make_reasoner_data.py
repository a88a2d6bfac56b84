"""Render the plays that the embedded reasoner learns from with the embedded renderer.

``python tools/make_reasoner_data.py --out training/plays --stages 0:300``

Each stage shows one scene kind with five bodies and a dozen plays of eight pictures. One ``.npz`` a stage, with the
pictures and what is true of each play as JSON. Resumable. Stages from 900000 on show the held-out kinds; training never
reads them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosmos.bridge import scenes
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.scenes import props
from cosmos.bridge.scenes.builder import Placement, StageBuilder, open_builder
from cosmos.bridge.scenes.clutter import CLUTTER, object_of
from cosmos.bridge.scenes.dice import Dice, daylight, surface_color
from cosmos.bridge.scenes.shapes import box, ground, quad
from cosmos.bridge.types import Look
from reasoner_episodes import EVENTS, FRAMES, Play, make_play

HELD_OUT = 900_000
"""First stage number of the held-out kinds."""
SIZE = (64, 112)
"""Height and width of the pictures [px]."""
COLOURS = {
    "red": (0.78, 0.12, 0.1), "green": (0.14, 0.58, 0.2), "blue": (0.13, 0.25, 0.75), "yellow": (0.9, 0.78, 0.12),
    "white": (0.93, 0.93, 0.93), "black": (0.06, 0.06, 0.07), "orange": (0.95, 0.47, 0.08),
    "purple": (0.5, 0.17, 0.6),
}  # fmt: skip
"""Colours by name, sRGB."""
SHAPES = ("ball", "box", "can", "cone")
"""What bodies look like."""
WEATHER = ("clear", "fog", "rain", "snow", "night")
"""Weather by name."""
_AWAY = (0.0, -60.0, 1.0)
_LEAST_PIXELS = 10


def yard(dice: Dice) -> None:
    """Open ground, houses and trees far behind."""
    rng, builder = dice.rng, dice.builder
    builder.mesh("/World/Ground", ground(160, 160), dice.floor("asphalt", "concrete", "grass", "tiles"))
    for number in range(int(rng.integers(0, 3))):
        size = (float(rng.uniform(7, 16)), 8.0, float(rng.uniform(3, 9)))
        at = Placement(at=(float(rng.uniform(-18, 18)), float(rng.uniform(16, 28)), 0.0))
        props.building(builder, f"/World/Building_{number}", size, at, seed=int(rng.integers(64)))
    for number in range(int(rng.integers(0, 3))):
        at = (float(rng.uniform(-12, 12)), float(rng.uniform(7, 16)), 0.0)
        props.tree(builder, f"/World/Tree_{number}", at, seed=int(rng.integers(1 << 20)), height=4.0)


def room(dice: Dice) -> None:
    """Floor and three walls."""
    rng, builder = dice.rng, dice.builder
    builder.mesh("/World/Floor", ground(14, 20), dice.floor("concrete", "planks", "tiles", "checker"))
    wall = dice.floor("plaster", "brick", "concrete", "painted")
    back = float(rng.uniform(2.2, 4.5))
    builder.mesh("/World/Back", box((14, 0.2, 4)), wall, Placement(at=(0, back, 0)))
    for side in (-1, 1):
        at = Placement(at=(side * float(rng.uniform(3.2, 5.0)), 0, 0), turn=(0, 0, 90))
        builder.mesh(f"/World/Side_{side + 1}", box((16, 0.2, 4)), wall, at)


def table(dice: Dice) -> None:
    """A platform before a wall."""
    rng, builder = dice.rng, dice.builder
    builder.mesh("/World/Floor", ground(40, 40, (0, 0, -1.2)), dice.floor("planks", "tiles", "concrete", "checker"))
    builder.mesh("/World/Table", box((float(rng.uniform(4.4, 6)), 3.2, 0.15), (0, 0, -0.15)), dice.material())
    wall = dice.floor("plaster", "brick", "tiles", "painted")
    builder.mesh("/World/Wall", quad(40, 9, fit=False), wall, Placement(at=(0, float(rng.uniform(2.5, 6)), -1.2)))


def hall(dice: Dice) -> None:
    """Floor, far walls, pillars, racks."""
    rng, builder = dice.rng, dice.builder
    builder.mesh("/World/Floor", ground(40, 40), dice.floor("concrete", "planks", "tiles"))
    builder.mesh("/World/Back", box((40, 0.2, 7)), dice.floor("metal", "brick", "concrete"), Placement(at=(0, 12, 0)))
    for number in range(int(rng.integers(1, 4))):
        at = Placement(at=(float(rng.uniform(-5, 5)), float(rng.uniform(2.5, 6)), 0))
        builder.mesh(f"/World/Pillar_{number}", box((0.4, 0.4, 6)), dice.material(), at)
    _rack(dice, (float(rng.uniform(-3, 3)), float(rng.uniform(3, 6)), 0))


def street(dice: Dice) -> None:
    """Held out: a road with its marks, kerb, parked cars, houses, lamps."""
    rng, builder = dice.rng, dice.builder
    builder.mesh("/World/Ground", ground(160, 160), dice.floor("asphalt"))
    white = builder.material("Mark", color=(0.9, 0.9, 0.88))
    for number in range(6):
        builder.mesh(f"/World/Mark_{number}", box((1.6, 0.12, 0.004), (4.0 * number - 10.0, 1.4, 0)), white)
    builder.mesh("/World/Kerb", box((80, 3.0, 0.15), (0, 4.4, 0)), dice.floor("concrete", "tiles"))
    for number in range(2):
        at = Placement(at=(float(rng.uniform(-7, 7)), 2.3 + 0.1 * number, 0.0))
        props.car(builder, f"/World/Car_{number}", at, color=surface_color(rng), kind="car", spin=None)
    for number in range(4):
        size = (float(rng.uniform(7, 12)), 8.0, float(rng.uniform(5, 12)))
        at = Placement(at=(11.0 * number - 16.0, float(rng.uniform(11, 14)), 0.0))
        props.building(builder, f"/World/Building_{number}", size, at, seed=int(rng.integers(64)))
    props.lamp_post(builder, "/World/Lamp", (float(rng.uniform(-4, 4)), 3.2, 0), yaw=-90.0)


def depot(dice: Dice) -> None:
    """Held out: a store with racks all along, pallets, drums, a fence, a roof."""
    rng, builder = dice.rng, dice.builder
    builder.mesh("/World/Floor", ground(60, 60), dice.floor("concrete", "painted"))
    builder.mesh("/World/Roof", box((60, 40, 0.2), (0, 10, 6.0)), dice.floor("metal"))
    for x in (-6.5, 0.0, 6.5):
        _rack(dice, (x + float(rng.normal(0, 0.5)), 4.2, 0))
    builder.mesh("/World/Fence", props.fence_shape(6.0, 1.1), dice.material(), Placement(at=(-3, 2.4, 0)))
    for number in range(3):
        at = Placement(at=(float(rng.uniform(-4, 4)), float(rng.uniform(1.8, 2.6)), 0))
        builder.mesh(f"/World/Drum_{number}", props.barrel_shape(), dice.material(), at)


SETTING = {"yard": "outdoors", "street": "outdoors"}
"""Kinds that are outdoors; all others are indoors."""
KINDS = {"yard": yard, "room": room, "table": table, "hall": hall}
"""Kinds to learn from."""
HELD_OUT_KINDS = {"street": street, "depot": depot}
"""Kinds to measure on."""


def setting_of(fact: Mapping[str, Any]) -> str:
    """Say whether a play happens indoors or outdoors, from its fact sheet."""
    if fact["kind"] != "scene":
        return SETTING.get(fact["kind"], "indoors")
    return "indoors" if fact["stage"] % 5 == 0 else setting_of_scene(fact["stage"])


def setting_of_scene(seed: int) -> str:
    """Say whether ``scenes.random(seed)`` is indoors or outdoors, by the first number that it draws."""
    return "outdoors" if Dice(open_builder(None, num_frames=1), seed).rng.random() < 0.5 else "indoors"


def _rack(dice: Dice, at: tuple[float, float, float]) -> None:
    path = dice.builder.group(dice.builder.unique("/World/Rack"), Placement(at=at))
    shapes = props.rack_shapes(5.4, 3.4, 0.9, [0.15, 1.3, 2.5])
    for name, shape in zip(("Uprights", "Beams", "Boards"), shapes, strict=True):
        dice.builder.mesh(f"{path}/{name}", shape, dice.material(textured=0.2))
    for level in (0.15, 1.3, 2.5):
        for slot in range(5):
            spot = Placement(at=(1.0 * slot - 2.0, 0, level + 0.025))
            size = dice.rng.uniform(0.3, 0.85, 3).tolist()
            props.crate(dice.builder, dice.builder.unique(f"{path}/Box"), size, spot, dice.material(textured=0.7))


def clutter(dice: Dice) -> None:
    """Stand things behind the place where bodies move."""
    rng = dice.rng
    for _ in range(int(rng.integers(0, 7))):
        name = CLUTTER[rng.integers(len(CLUTTER))]
        at = (float(rng.uniform(-3.5, 3.5)), float(rng.uniform(1.5, 3.5)), 0.0)
        turn = (0.0, 0.0, float(rng.uniform(0, 360)))
        object_of(
            dice.builder, dice.builder.unique("/World/Thing"), name, float(rng.uniform(0.4, 1.0)),
            Placement(at=at, turn=turn), rng, dice.material,
        )  # fmt: skip


def author(seed: int, kind: str, plays: int, *, meant: bool = False) -> tuple[Any, list[Play], list[tuple[str, str]]]:
    """Author a stage; return it with its plays and the colour and shape of its bodies.

    Args:
        seed: Decides it.
        kind: One of ``KINDS`` and ``HELD_OUT_KINDS``.
        plays: How many plays it has.
        meant: Whether bodies move as physics alone has it, without any event.
    """
    builder = open_builder(None, num_frames=plays * FRAMES + 1)  # in the last one all bodies are away
    dice = Dice(builder, seed)
    rng = np.random.default_rng([seed, 0x91A7])
    {**KINDS, **HELD_OUT_KINDS}[kind](dice)
    clutter(dice)
    daylight(dice)
    colours = [str(name) for name in rng.permutation(list(COLOURS))[:5]]
    shapes = [str(rng.choice(SHAPES)) for _ in colours]
    halves = [float(rng.uniform(0.26, 0.42)) for _ in colours]
    if rng.random() < 0.35:
        wide, high = float(rng.uniform(0.7, 1.2)), float(rng.uniform(0.9, 1.5))
        at = Placement(at=(float(rng.uniform(-0.8, 0.8)), -1.5, 0.0))
        builder.mesh("/World/Screen", box((wide, 0.06, high)), dice.material(), at)
    script = [make_play(rng, halves, _draw_event(rng)) for _ in range(plays)]
    for slot, (colour, shape, half) in enumerate(zip(colours, shapes, halves, strict=True)):
        _body(builder, rng, f"/World/Body_{slot}", colour, shape, half, _way(script, slot, meant))
    _camera(builder, rng, plays)
    return builder.finish(), script, list(zip(colours, shapes, strict=True))


def _draw_event(rng: np.random.Generator) -> str:
    return "none" if rng.random() < 0.36 else str(rng.choice(EVENTS[1:]))


def _way(script: list[Play], slot: int, meant: bool) -> np.ndarray:
    """Return where a body is in each frame of the stage, shape [T, 3]; far away while it has no part."""
    way = np.tile(np.array(_AWAY), (len(script) * FRAMES + 1, 1))
    for number, play in enumerate(script):
        for body in play.meant if meant else play.bodies:
            if body.slot == slot:
                rows = np.stack([body.at[:, 0], np.full(FRAMES, body.lane), body.at[:, 1]], axis=1)
                way[number * FRAMES : (number + 1) * FRAMES][body.shown] = rows[body.shown]
    return way


def _body(
    builder: StageBuilder, rng: np.random.Generator, path: str, colour: str, shape: str, half: float, way: np.ndarray
) -> None:
    tint = tuple(float(np.clip(part + rng.normal(0, 0.04), 0.02, 0.98)) for part in COLOURS[colour])
    material = builder.material(f"Skin{colour}", color=tint, roughness=float(rng.uniform(0.3, 0.9)))
    turn = np.zeros_like(way)
    if shape == "box":
        turn[:, 2] = float(rng.uniform(0, 90))
        middle = way - [0.0, 0.0, half]
        whole = box((1.8 * half, 1.8 * half, 2 * half))
        builder.mesh(path, whole, material, Placement(at=middle, turn=turn), label=shape)
    elif shape == "ball":
        builder.round(path, "Sphere", half, 0.0, material, Placement(at=way), label=shape)
    else:
        solid = "Cylinder" if shape == "can" else "Cone"
        builder.round(path, solid, half, 2 * half, material, Placement(at=way), label=shape)


def _camera(builder: StageBuilder, rng: np.random.Generator, plays: int) -> None:
    """A camera that stands elsewhere in each play, and drifts in half of them."""
    eyes, targets, steps = [], [], np.arange(FRAMES)[:, None] * 0.1
    far = float(rng.uniform(4.6, 6.2))
    for _ in range(plays):
        eye = np.array([rng.uniform(-1.0, 1.0), -far + rng.uniform(-0.4, 0.4), rng.uniform(0.7, 2.0)])
        drift = rng.normal(0.0, 0.25, 3) * [1, 1, 0.3] * float(rng.random() < 0.35)
        eyes.append(eye + steps * drift)
        targets.append(np.array([rng.uniform(-0.2, 0.2), 0.0, rng.uniform(0.6, 0.9)]) + 0.0 * steps)
    eyes.append(eyes[-1][-1:])
    targets.append(targets[-1][-1:])
    builder.camera(
        "/World/Camera", np.concatenate(eyes), np.concatenate(targets), focal=36.0 * far / rng.uniform(4.8, 5.4)
    )


def draw_look(rng: np.random.Generator) -> tuple[str, Look | None]:
    """Draw a weather and its look; most keep the stage's own light, which is clear."""
    if rng.random() < 0.8:
        return "clear", None
    name = str(rng.choice(WEATHER, p=[0.2, 0.2, 0.2, 0.2, 0.2]))
    sun = float(rng.uniform(20, 65))
    settings = {
        "clear": {"sun_elevation": sun},
        "fog": {"sun_elevation": sun, "fog": float(rng.uniform(0.3, 0.6)), "overcast": 0.6},
        "rain": {"sun_elevation": sun, "rain": float(rng.uniform(0.6, 1.0)), "overcast": 1.0},
        "snow": {"sun_elevation": sun, "snow": float(rng.uniform(0.7, 1.0)), "overcast": 0.7},
        "night": {"sun_elevation": float(rng.uniform(-16, -9))},
    }[name]
    return name, Look(sun_azimuth=float(rng.uniform(0, 360)), seed=int(rng.integers(1 << 20)), **settings)


def kind_of(seed: int) -> str:
    """Return which kind of scene a stage shows."""
    kinds = list(HELD_OUT_KINDS if seed >= HELD_OUT else KINDS)
    return kinds[seed % len(kinds)]


def render_stage(seed: int, plays: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Render all plays of a stage that can be told; return pictures [N, T, H, W, 3] and what is true of each."""
    kind = kind_of(seed)
    stage, script, looks_of = author(seed, kind, plays)
    rng = np.random.default_rng([seed, 0x10C])
    renderer = Renderer(stage, device="cpu", threads=1)
    clips, facts = [], []
    for number, play in enumerate(script):
        weather, look = draw_look(rng)
        if play.event == "cannot be told":
            continue
        paint = look is None and seed < HELD_OUT and rng.random() < 0.75
        rgb, masks = _pictures(renderer, number, look, _Painted(rng, play, looks_of) if paint else None)
        told = _told(play, looks_of, masks, rng, rgb)
        if told is not None:
            clips.append(rgb)
            facts.append({"stage": seed, "kind": kind, "play": number, "plays": plays, "weather": weather, **told})
    return np.stack(clips), facts


@dataclass
class _Painted:
    """How the bodies of a play are painted over one drawn background, which costs a fifth of drawing all of it."""

    rng: np.random.Generator
    play: Play
    looks_of: list[tuple[str, str]]

    def __post_init__(self) -> None:
        sun = np.array([self.rng.normal(), self.rng.uniform(-1.5, 0.3), self.rng.uniform(0.5, 1.5)])
        self.sun, self.gain = sun / np.linalg.norm(sun), self.rng.uniform(0.7, 1.1)
        self.tints = {
            body.slot: np.clip(np.array(COLOURS[self.looks_of[body.slot][0]]) + self.rng.normal(0, 0.04, 3), 0.02, 1)
            for body in self.play.bodies
        }

    def over(self, rgb: np.ndarray, drawn: Any, masks: np.ndarray, frame: int) -> None:
        """Paint the bodies and their shadows on flat ground into a picture, uint8 [H, W, 3]."""
        camera, depth = drawn.camera, drawn.depth.numpy()
        y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] + 0.5
        lens, pose = camera.intrinsics, camera.cam_to_world
        rays = np.stack([(x - lens[0, 2]) / lens[0, 0], -(y - lens[1, 2]) / lens[1, 1], -np.ones_like(x)], axis=-1)
        points = (rays * np.where(np.isfinite(depth), depth, 0.0)[..., None]) @ pose[:3, :3].T + pose[:3, 3]
        flat = np.isfinite(depth) & (np.abs(points[..., 2]) < 0.02)
        lit = 0.45 + 0.55 * np.clip(drawn.normals.numpy() @ self.sun, 0.0, 1.0)
        for body in self.play.bodies:
            if body.shown[frame]:
                along = max(0.0, body.at[frame, 1] - body.half) / max(0.4, self.sun[2])
                away = np.array([body.at[frame, 0], body.lane]) - along * self.sun[:2]
                shade = flat & (((points[..., :2] - away) ** 2).sum(axis=-1) < (1.05 * body.half) ** 2)
                rgb[shade] = (0.6 * rgb[shade]).astype(np.uint8)
        for body in self.play.bodies:
            mask = masks[body.slot]
            color = 255.0 * self.gain * self.tints[body.slot] * lit[mask][:, None]
            rgb[mask] = np.clip(color, 0, 255).astype(np.uint8)


def _pictures(renderer: Any, number: int, look: Look | None, painted: _Painted | None) -> tuple[np.ndarray, np.ndarray]:
    """Draw a play; return pictures and, for each body, where it is: bool [5, T, H, W]."""
    rgb = np.empty((FRAMES, *SIZE, 3), np.uint8)
    masks = np.zeros((5, FRAMES, *SIZE), bool)
    slots = {
        instance.id: int(instance.prim_path.rsplit("_", 1)[1])
        for instance in renderer.scene.drawn
        if instance.prim_path.startswith("/World/Body_")
    }
    cameras = [renderer.camera("/World/Camera", float(number * FRAMES + t), size=SIZE) for t in range(FRAMES)]
    still = np.array_equal(cameras[0].cam_to_world, cameras[-1].cam_to_world)
    if painted is not None and still:
        rgb[:] = renderer.render(cameras[0], renderer.scene.end_time).rgb.numpy()
    for frame, camera in enumerate(cameras):
        plain = painted is not None and still
        drawn = renderer.render(camera, float(number * FRAMES + frame), look=look, rgb=not plain)
        ids = drawn.instance_ids.numpy()
        for identity, slot in slots.items():
            masks[slot, frame] = ids == identity
        if plain:
            painted.over(rgb[frame], drawn, masks[:, frame], frame)
        else:
            rgb[frame] = drawn.rgb.numpy()
    return rgb, masks


def _told(
    play: Play, looks_of: list[tuple[str, str]], masks: np.ndarray, rng: np.random.Generator, rgb: np.ndarray
) -> dict[str, Any] | None:
    """Return what is true of a play as it is seen; nothing where the pictures do not show it."""
    body = play.bodies[play.actor]
    mask, frame = masks[body.slot], play.frame
    area = mask.reshape(FRAMES, -1).sum(axis=1)
    if play.event == "none":
        if area.max() < 2 * _LEAST_PIXELS:
            return None
    else:
        before, after = area[max(0, frame - 1)], area[min(FRAMES - 1, frame)]
        needs = {"vanish": (before,), "appear": (after,)}.get(play.event, (before, after))
        if min(needs) < _LEAST_PIXELS:
            return None
    if play.event == "recolour":
        names = [name for name in COLOURS if name not in (looks_of[body.slot][0],)]
        new = np.array(COLOURS[str(rng.choice(names))])
        old = np.maximum(np.array(COLOURS[looks_of[body.slot][0]]), 0.05)
        for t in range(frame, FRAMES):
            light = (rgb[t][mask[t]].astype(float) / 255.0 / old).mean(axis=1, keepdims=True)
            rgb[t][mask[t]] = np.clip(255.0 * new * light, 0, 255).astype(np.uint8)
    shown = frame - 1 if play.event == "vanish" else frame
    seen = np.flatnonzero(area >= _LEAST_PIXELS)
    if play.event == "none":
        shown = int(seen[len(seen) // 2])
    middle = np.argwhere(mask[shown]).mean(axis=0) / SIZE
    way = [
        [float(v) for v in np.argwhere(mask[t]).mean(axis=0) / SIZE] if area[t] >= 4 else None for t in range(FRAMES)
    ]
    colour, shape = looks_of[body.slot]
    return {
        "event": play.event, "frame": int(frame), "motion": play.motion, "one_way": bool(play.one_way),
        "colour": colour, "shape": shape, "at": [float(v) for v in middle], "way": way,
        "bodies": [looks_of[other.slot] for other in play.bodies],
    }  # fmt: skip


def render_scene(seed: int, plays: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Render a few moments of an ordinary scene, in which nothing impossible happens."""
    rng = np.random.default_rng([seed, 0x5CE])
    stage = scenes.tabletop(num_frames=48, seed=seed) if seed % 5 == 0 else scenes.random(seed, num_frames=48)
    renderer = Renderer(stage, device="cpu", threads=1)
    clips, facts = [], []
    for _ in range(plays):
        weather, look = draw_look(rng)
        camera, start = str(rng.choice(renderer.scene.camera_paths)), int(rng.integers(0, 30))
        step = int(rng.integers(1, 3))
        frames = [
            renderer.render(camera, float(start + step * t), size=SIZE, look=look).rgb.numpy().copy()
            for t in range(FRAMES)
        ]
        clips.append(np.stack(frames))
        facts.append({"stage": seed, "kind": "scene", "weather": weather, "event": "none", "frame": 0,
                      "motion": "", "one_way": False, "colour": "", "shape": "", "at": [0.5, 0.5], "way": [],
                      "bodies": []})  # fmt: skip
    return np.stack(clips), facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("training/plays"))
    parser.add_argument("--stages", default="0:300", help="first:last of the stage seeds")
    parser.add_argument("--plays", type=int, default=14, help="plays a stage")
    args = parser.parse_args()
    first, last = (int(part) for part in args.stages.split(":"))
    args.out.mkdir(parents=True, exist_ok=True)
    start, done = time.process_time(), 0
    for seed in range(first, last):
        target = args.out / f"{seed:06d}.npz"
        if target.exists():
            continue
        ordinary = seed < HELD_OUT and seed % 8 == 7
        clips, facts = (render_scene if ordinary else render_stage)(seed, 6 if ordinary else args.plays)
        part = target.with_suffix(".part.npz")
        np.savez(part, clips=clips, facts=np.array(json.dumps(facts)))
        part.replace(target)
        done += len(facts)
        print(f"stage {seed}: {len(facts)} plays, {(time.process_time() - start) / done:.3f} CPU s a play",
              file=sys.stderr, flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
