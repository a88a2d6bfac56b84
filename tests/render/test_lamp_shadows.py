"""Shadows of lamps in light maps: where geometry has them, as soft as the lamp is broad, and all light is kept."""

from dataclasses import replace

import numpy as np
from pxr import Gf, Usd, UsdGeom, UsdLux  # noqa: TID253

from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Camera
from lit_yard import PLAIN, camera, inner, paint, slab
from tone import untoned

NIGHT = replace(PLAIN, sun_elevation=-15.0)
SIZE, HEIGHT, FOCAL = (144, 256), 2.5, 200.0
BLACK = {"diffuseColor": (0.0, 0.0, 0.0), "roughness": 1.0}
MATT = {"diffuseColor": (0.8, 0.8, 0.8), "roughness": 1.0, "specularColor": (0.0, 0.0, 0.0), "useSpecularWorkflow": 1}


def ground():
    """A stage with a matt ground."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    paint(stage, slab(stage, "Ground", (-60, -60, -1), (60, 60, 0)), **MATT)
    return stage


def add_lamp(stage, place, radius=0.02, *, kind=UsdLux.SphereLight, power=3.0e5):
    lamp = kind.Define(stage, f"/World/Lamp{len(stage.GetPrimAtPath('/World').GetChildren())}")
    lamp.CreateRadiusAttr(radius)
    lamp.CreateNormalizeAttr(True)
    lamp.CreateIntensityAttr(power)
    lamp.AddTranslateOp().Set(Gf.Vec3d(*place))


def arriving(stage, device):
    """Light of the relit ground."""
    lens = np.array([[FOCAL, 0, SIZE[1] / 2], [0, FOCAL, SIZE[0] / 2], [0, 0, 1]])
    view = camera(HEIGHT).cam_to_world
    eye = Camera(
        prim_path="/Eye", height=SIZE[0], width=SIZE[1], intrinsics=lens, cam_to_world=view, exposure_scale=1.0
    )
    renderer = Renderer(stage, device=device, threads=1)
    light = untoned(renderer.light(eye, 0.0, NIGHT).relit.numpy()).mean(axis=-1)
    renderer.close()
    return light


def places():
    """Ground that each pixel's centre shows [m]; rows at and above the horizon are far away."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    far = HEIGHT * FOCAL / np.maximum(v - SIZE[0] / 2, 1e-6)
    return (u - SIZE[1] / 2) / FOCAL * far, far - 4.0


def test_each_pixel_lies_in_the_shadow_or_out_of_it(device):
    stage = ground()
    add_lamp(stage, (0.0, 6.0, 6.0))
    open_ground = arriving(stage, device)
    boards = [(x, x + 0.1) for x in np.arange(-1.5, 1.5, 0.3)]  # each casts a shadow of .15 m, three pixels
    for number, (left, right) in enumerate(boards):
        paint(stage, slab(stage, f"Board{number}", (left, 5.0, 2.0), (right, 6.4, 2.02)), **BLACK)
    share = arriving(stage, device) / open_ground
    x, y = places()
    across, along = x * 4.0 / 6.0, 6.0 + (y - 6.0) * 4.0 / 6.0  # where the way to the lamp meets the boards
    shadow = (
        np.any([(across > left) & (across < right) for left, right in boards], axis=0) & (along > 5.0) & (along < 6.4)
    )
    share /= np.median(share[(np.abs(x) > 3.0) & (y > 1.0) & (y < 9.0)])  # both are exposed for themselves
    near = (np.abs(across) < 1.4) & (np.abs(along - 5.7) < 0.6) & (np.abs(y - 5.0) < 2.0)
    dark, lit = inner(shadow) & near, inner(~shadow) & near
    assert dark.sum() > 100 and lit.sum() > 100
    assert share[dark].max() < 0.3 and share[lit].min() > 0.7
    assert share[dark].mean() < 0.1 and abs(share[lit].mean() - 1.0) < 0.05


def test_a_broad_lamp_leaves_as_much_half_shadow_as_of_it_is_seen(device):
    """The board's rim is half way to the lamp, so that from a place at ``x`` the lamp's part beyond ``-x`` is seen."""
    stage = ground()
    add_lamp(stage, (0.0, 6.0, 6.0), 0.5, kind=UsdLux.DiskLight)
    open_ground = arriving(stage, device)
    paint(stage, slab(stage, "Board", (-10.0, 0.0, 3.0), (0.0, 12.0, 3.001)), **BLACK)
    share = arriving(stage, device) / open_ground
    x, y = places()
    away = np.clip(-x / 0.5, -1.0, 1.0)
    seen = (np.arccos(away) - away * np.sqrt(1.0 - away**2)) / np.pi  # of a disk, beyond a line
    share /= np.median(share[(x > 0.7) & (x < 2.0) & (y > 4.0) & (y < 8.0)])  # both are exposed for themselves
    rows = (y > 4.0) & (y < 8.0) & (np.abs(x) < 1.0)
    off = np.abs(share - seen)[rows]
    assert rows.sum() > 400 and (np.abs(away) < 1.0)[rows].sum() > 200
    assert off.mean() < 0.03 and np.percentile(off, 98) < 0.12


def test_light_of_several_lamps_is_the_sum_of_theirs(device):
    """Their order of strength changes over the ground; where a lamp ceases to be key nothing may show."""
    lamps = [(-3.0, 4.0, 3.0), (2.5, 5.0, 3.5), (0.5, 9.0, 4.0)]
    alone = []
    for place in lamps:
        stage = ground()
        add_lamp(stage, place)
        alone.append(arriving(stage, device))
    stage = ground()
    for place in lamps:
        add_lamp(stage, place)
    x, y = places()
    near = (np.abs(x) < 5.0) & (y > 1.0) & (y < 12.0)
    light, parts = arriving(stage, device)[near], np.stack([part[near] for part in alone], axis=-1)
    exposures, *_ = np.linalg.lstsq(parts, light, rcond=None)
    apart = parts @ exposures / light - 1.0
    assert near.sum() > 3000 and (parts.argmax(axis=-1)[:, None] == np.arange(3)).mean(axis=0).min() > 0.05
    assert np.abs(apart).mean() < 0.02 and np.percentile(np.abs(apart), 99) < 0.09
