"""A quad to bind materials to, and the few words that author a shader network."""

import numpy as np
from pxr import Sdf, UsdGeom, UsdShade  # noqa: TID253

from cosmos.bridge.render.usd.stage import StageReader

PIXELS = np.array([[[255, 0, 0, 255], [0, 255, 0, 128]], [[0, 0, 255, 0], [9, 8, 7, 255]]], np.uint8)  # RGBA


def primvar(stage, name, kind, values, interpolation="vertex", prim="/Quad"):
    api = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath(prim))
    api.CreatePrimvar(name, kind, interpolation).Set(values)


def node(stage, name, kind, output=None, **inputs):
    """A shader node; inputs are (type, value) pairs, or another node's output to connect to."""
    shader = UsdShade.Shader.Define(stage, f"/M/{name}")
    shader.CreateIdAttr(kind)
    for key, value in inputs.items():
        if isinstance(value, UsdShade.Output):
            shader.CreateInput(key, value.GetTypeName()).ConnectToSource(value)
        else:
            shader.CreateInput(key, getattr(Sdf.ValueTypeNames, value[0])).Set(value[1])
    return shader.CreateOutput(output, Sdf.ValueTypeNames.Float3) if output else shader


def bound(stage, shader, context="", prim="/Quad"):
    material = UsdShade.Material.Define(stage, "/M")
    material.CreateSurfaceOutput(context).ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath(prim)).Bind(material)
    scene = StageReader(stage).scene
    mesh = scene.meshes[scene.mesh_of[0]]
    index = int(scene.material_of[0]) if scene.material_of[0] >= 0 else int(mesh.materials[0])
    return scene, mesh, scene.materials[index]


def mdl(stage, kind, **inputs):
    shader = node(stage, "S", "x", **inputs)
    shader.GetPrim().RemoveProperty("info:id")
    shader.GetPrim().CreateAttribute("info:mdl:sourceAsset:subIdentifier", Sdf.ValueTypeNames.Token).Set(kind)
    return bound(stage, shader, "mdl")[2]


def tga(image, *, packed, top_down):
    """Write a TGA image by its specification."""
    rows = image if top_down else image[::-1]
    texels = np.ascontiguousarray(rows[..., [2, 1, 0, *range(3, image.shape[2])]] if image.shape[2] > 1 else rows)
    kind = (2 if image.shape[2] > 1 else 3) + (8 if packed else 0)
    head = bytes([0, 0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    head += image.shape[1].to_bytes(2, "little") + image.shape[0].to_bytes(2, "little")
    head += bytes([8 * image.shape[2], 0x20 if top_down else 0])
    if not packed:
        return head + texels.tobytes()
    flat = texels.reshape(-1, image.shape[2])
    body = b"".join(b"\x80" + flat[i].tobytes() if i % 3 else b"\x00" + flat[i].tobytes() for i in range(len(flat)))
    return head + body
