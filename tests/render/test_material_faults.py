"""Damaged images and broken shader networks: read as far as they go, never raised."""

import cv2
import numpy as np
import OpenEXR  # noqa: TID253
import pytest
from pxr import Gf, Sdf, UsdShade  # noqa: TID253

from cosmos.bridge.render.usd.stage import StageReader
from cosmos.bridge.render.usd.trust import check_trust
from shader_networks import bound, mdl, node, tga


def test_cyclic_networks_end(stage):
    first = node(stage, "A", "ND_convert_color3_vector3", "out")
    second = node(stage, "B", "ND_convert_vector3_color3", "out", **{"in": first})
    UsdShade.Shader.Get(stage, "/M/A").CreateInput("in", Sdf.ValueTypeNames.Float3).ConnectToSource(second)
    surface = node(stage, "S", "ND_standard_surface_surfaceshader", base_color=second)
    assert bound(stage, surface)[2].base_color == (0.8, 0.8, 0.8)


@pytest.mark.parametrize("text", ["", "<materialx", "<other/>", '<!DOCTYPE x [<!ENTITY a "b">]><materialx/>'])
def test_broken_materialx_files_leave_their_prims_plain_and_are_said(stage, tmp_path, text):
    (tmp_path / "brass.mtlx").write_text(text)
    stage.DefinePrim("/Looks", "Scope").GetReferences().AddReference("./brass.mtlx", "/MaterialX/Materials")
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath("/Quad"))
    stage.GetPrimAtPath("/Quad").CreateRelationship("material:binding").SetTargets(["/Looks/Brass"])
    scene = StageReader(stage).scene
    assert int(scene.meshes[0].materials[0]) == 0
    assert [note for note in scene.notes if "brass.mtlx" in note]


@pytest.mark.parametrize("ending", [".png", ".jpg", ".hdr", ".exr", ".tga"])
def test_images_that_were_damaged_never_raise(stage, tmp_path, ending):
    """Some bytes are changed or cut off: the image is read, or a checker stands for it."""
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    if ending == ".exr":
        pixels = {"RGB": image.astype(np.float32)}
        OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, pixels).write(
            str(tmp_path / "sound.exr")
        )
        sound = (tmp_path / "sound.exr").read_bytes()
    elif ending == ".tga":
        sound = tga(image, packed=True, top_down=True)
    else:
        sound = cv2.imencode(ending, image.astype(np.float32) if ending == ".hdr" else image)[1].tobytes()
    node(stage, "T", "UsdUVTexture", "rgb", file=("Asset", "broken" + ending))
    image = UsdShade.Shader.Get(stage, "/M/T").GetOutput("rgb")
    surface = node(stage, "S", "UsdPreviewSurface", diffuseColor=image)
    for cut in range(24):
        broken = bytearray(sound if cut % 2 else sound[: int(rng.integers(1, len(sound)))])
        for place in rng.integers(0, min(len(broken), 400), 4):
            broken[place] = rng.integers(0, 256)
        (tmp_path / f"broken{ending}").write_bytes(bytes(broken))
        scene, _, material = bound(stage, surface)
        texels = scene.textures[material.base_color_slot.texture].texels
        assert texels.dtype == np.uint8 and texels.ndim == 3 and texels.shape[2] == 4


BAD = [
    ("String", "much"),
    ("Float", float("nan")),
    ("Float2", Gf.Vec2f(1, float("inf"))),
    ("Asset", "image.png"),
    ("FloatArray", [1.0]),
    ("Bool", True),
    ("Matrix4d", Gf.Matrix4d(1)),
]


@pytest.mark.parametrize("value", BAD)
def test_inputs_of_any_type_never_raise(stage, value):
    reader = node(stage, "R", "UsdPrimvarReader_float2", "result", varname=value, fallback=value)
    place = node(
        stage, "P", "UsdTransform2d", "result", **{"in": reader}, scale=value, rotation=value, translation=value
    )
    image = node(
        stage,
        "T",
        "UsdUVTexture",
        "rgb",
        file=("Asset", "image.png"),
        st=place,
        scale=value,
        bias=value,
        wrapS=value,
        sourceColorSpace=value,
    )
    lost = node(stage, "L", "UsdUVTexture", "r", file=value, fallback=value)
    names = ("metallic", "clearcoat", "ior", "opacityThreshold", "opacityMode", "useSpecularWorkflow", "occlusion")
    inputs = dict.fromkeys(names, value)
    surface = node(stage, "S", "UsdPreviewSurface", diffuseColor=image, roughness=lost, normal=image, **inputs)
    material = bound(stage, surface)[2]
    numbers = [*material.base_color, material.ior, material.metallic, *material.base_color_slot.scale]
    assert np.isfinite(numbers).all()


@pytest.mark.parametrize("value", BAD)
def test_materialx_and_mdl_inputs_of_any_type_never_raise(stage, value):
    place = node(stage, "P", "ND_place2d_vector2", "out", scale=value, rotate=value, offset=value, pivot=value)
    image = node(
        stage,
        "I",
        "ND_tiledimage_color3",
        "out",
        file=("Asset", "image.png"),
        texcoord=place,
        uvtiling=value,
        uvoffset=value,
        realworldimagesize=value,
        default=value,
    )
    part = node(stage, "E", "ND_extract_color3", "out", **{"in": image}, index=value)
    product = node(stage, "X", "ND_multiply_color3", "out", in1=image, in2=value)
    reader = node(stage, "G", "ND_geompropvalue_float", "out", geomprop=value, default=value)
    surface = node(
        stage,
        "S",
        "ND_standard_surface_surfaceshader",
        base_color=product,
        specular_roughness=part,
        metalness=reader,
        base=value,
        specular_IOR=value,
        transmission=value,
        opacity=value,
        emission=value,
        coat=value,
    )
    bound(stage, surface)
    names = ("diffuse_texture", "texture_scale", "texture_rotate", "diffuse_color_constant", "enable_opacity")
    mdl(stage, "OmniPBR", **dict.fromkeys(names, value))


def test_materialx_documents_that_turn_on_themselves_end(stage, tmp_path):
    deep = "<a>" * 50_000 + "</a>" * 50_000
    loop = (
        '<nodegraph name="G"><add name="n" type="color3"><input name="in1" type="color3" nodename="n"/></add>'
        '<output name="o" type="color3" nodegraph="G" nodename="n"/></nodegraph>'
        '<standard_surface name="S" type="surfaceshader">'
        '<input name="base_color" type="color3" nodegraph="G" output="o"/>'
        '<input name="bad name!" type="float" value="x"/><input name="coat" type="float" value="1 2 3"/>'
        '<input name="emission_color" type="color3" value="1 2"/><input name="n" type="integer" value="inf"/>'
        '</standard_surface><surfacematerial name="Loop" type="material">'
        '<input name="surfaceshader" type="surfaceshader" nodename="S"/></surfacematerial>'
    )
    (tmp_path / "loop.mtlx").write_text(f'<materialx version="1.38">{loop}{deep}</materialx>')
    stage.DefinePrim("/Looks", "Scope").GetReferences().AddReference("./loop.mtlx", "/MaterialX/Materials")
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath("/Quad"))
    stage.GetPrimAtPath("/Quad").CreateRelationship("material:binding").SetTargets(["/Looks/Loop"])
    stage.Save()
    check_trust(str(tmp_path / "scene.usda"))
    scene = StageReader(stage).scene
    assert scene.materials[int(scene.meshes[0].materials[0])].name == "/MaterialX/Materials/Loop"
