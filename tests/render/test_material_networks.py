"""Shader networks of every dialect, and what they ask of meshes and images."""

import cv2
import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade  # noqa: TID253

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.usd.stage import StageReader
from cosmos.bridge.render.usd.targa import decode_tga
from cosmos.bridge.render.usd.trust import check_trust
from shader_networks import PIXELS, bound, mdl, node, primvar, tga


def test_each_texture_reads_its_own_uv_set(stage):
    for name, value in (("st", 0.25), ("light", 0.75)):
        primvar(stage, name, Sdf.ValueTypeNames.TexCoord2fArray, [(value, value)] * 4)
    slots = {}
    for key, name in (("diffuseColor", "st"), ("occlusion", "light")):
        reader = node(stage, f"R{name}", "UsdPrimvarReader_float2", "result", varname=("String", name))
        slots[key] = node(stage, f"T{name}", "UsdUVTexture", "rgb", file=("Asset", "image.png"), st=reader)
    _, mesh, material = bound(stage, node(stage, "S", "UsdPreviewSurface", **slots))
    sets = [mesh.uvs, *mesh.more_uvs]
    np.testing.assert_allclose(sets[material.base_color_slot.uv_set], 0.25)
    np.testing.assert_allclose(sets[material.occlusion_slot.uv_set], 0.75)


def test_primvars_of_numbers_and_colours_reach_the_corners(stage):
    primvar(stage, "rough", Sdf.ValueTypeNames.FloatArray, [0.25, 0.75], "uniform")
    primvar(stage, "paint", Sdf.ValueTypeNames.Color3fArray, [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)])
    rough = node(stage, "A", "UsdPrimvarReader_float", "result", varname=("String", "rough"))
    paint = node(stage, "B", "UsdPrimvarReader_float3", "result", varname=("String", "paint"))
    _, mesh, material = bound(stage, node(stage, "S", "UsdPreviewSurface", roughness=rough, diffuseColor=paint))
    colors = mesh.more_colors[material.base_color_slot.color_set - 1]
    np.testing.assert_allclose(colors[:, 0], [(1, 0, 0), (1, 0, 0)])
    np.testing.assert_allclose(colors[1, 2], (1, 1, 1))
    np.testing.assert_allclose(mesh.more_colors[material.roughness_slot.color_set - 1][:, 0, 0], [0.25, 0.75])


def test_a_missing_primvar_is_its_fallback(stage):
    reader = node(
        stage, "A", "UsdPrimvarReader_float", "result", varname=("String", "rough"), fallback=("Float", 0.625)
    )
    scene, mesh, material = bound(stage, node(stage, "S", "UsdPreviewSurface", roughness=reader))
    np.testing.assert_allclose(mesh.more_colors[material.roughness_slot.color_set - 1], 0.625)
    assert any("'rough'" in note for note in scene.notes)


def test_every_input_of_a_preview_surface(stage):
    surface = node(
        stage,
        "S",
        "UsdPreviewSurface",
        useSpecularWorkflow=("Int", 1),
        specularColor=("Color3f", (0.5, 0.25, 0.125)),
        metallic=("Float", 0.9),
        clearcoat=("Float", 0.5),
        clearcoatRoughness=("Float", 0.25),
        ior=("Float", 1.25),
        opacity=("Float", 0.5),
        opacityThreshold=("Float", 0.75),
        opacityMode=("Token", "presence"),
        occlusion=("Float", 0.75),
    )
    material = bound(stage, surface)[2]
    assert material.specular_workflow and material.specular == (0.5, 0.25, 0.125) and material.metallic == 0.0
    assert (material.clearcoat, material.clearcoat_roughness, material.ior) == (0.5, 0.25, 1.25)
    assert (material.opacity, material.opacity_threshold, material.presence) == (0.5, 0.75, True)
    assert material.occlusion == 0.75 and material.cut_out and not material.blended


def test_udim_tiles_lie_side_by_side(stage, tmp_path):
    for number, value in ((1001, 10), (1002, 20), (1011, 30)):
        cv2.imwrite(str(tmp_path / f"skin.{number}.png"), np.full((4, 4, 3), value, np.uint8))
    image = node(stage, "T", "UsdUVTexture", "rgb", file=("Asset", "./skin.<UDIM>.png"))
    scene, _, material = bound(stage, node(stage, "S", "UsdPreviewSurface", diffuseColor=image))
    texture = scene.textures[material.base_color_slot.texture]
    assert texture.tiles == (0, 0, 2, 2) and texture.texels.shape == (8, 8, 4)
    corners = texture.texels[[7, 7, 0, 0], [0, 7, 0, 7], 0]
    np.testing.assert_array_equal(corners, [10, 20, 30, 0])


def test_textures_that_are_too_large_are_made_smaller_or_refused(stage, tmp_path):
    cv2.imwrite(str(tmp_path / "wide.png"), np.full((4, 5000, 3), 77, np.uint8))
    honest = (tmp_path / "wide.png").read_bytes()
    (tmp_path / "bomb.png").write_bytes(honest[:16] + (200_000).to_bytes(4, "big") * 2 + honest[24:])
    wide = node(stage, "W", "UsdUVTexture", "rgb", file=("Asset", "wide.png"))
    bomb = node(stage, "B", "UsdUVTexture", "r", file=("Asset", "bomb.png"))
    scene, _, material = bound(stage, node(stage, "S", "UsdPreviewSurface", diffuseColor=wide, roughness=bomb))
    assert scene.textures[material.base_color_slot.texture].texels.shape == (3, 4096, 4)
    assert scene.textures[material.roughness_slot.texture].texels.shape == (64, 64, 4)
    assert any("4096" in note and "wide.png" in note for note in scene.notes)
    assert any("16384" in note and "bomb.png" in note for note in scene.notes)


def test_standard_surface_with_tiled_images(stage):
    st = node(stage, "ST", "ND_texcoord_vector2", "out")
    color = node(
        stage,
        "C",
        "ND_tiledimage_color3",
        "out",
        file=("Asset", "image.png"),
        texcoord=st,
        uvtiling=("Float2", Gf.Vec2f(2, 3)),
    )
    stage.GetPrimAtPath("/M/C").GetAttribute("inputs:file").SetColorSpace("srgb_texture")
    surface = node(
        stage,
        "S",
        "ND_standard_surface_surfaceshader",
        base=("Float", 0.5),
        base_color=color,
        metalness=("Float", 1.0),
        specular_roughness=("Float", 0.25),
        coat=("Float", 0.5),
        emission=("Float", 2.0),
        emission_color=("Color3f", (0.25, 0.5, 1.0)),
        opacity=("Color3f", (0.5, 0.5, 0.5)),
    )
    scene, _, material = bound(stage, surface, "mtlx")
    slot = material.base_color_slot
    assert slot.scale[:3] == (0.5, 0.5, 0.5) and slot.uv_scale == (2.0, 3.0)
    assert scene.textures[slot.texture].srgb
    assert (material.metallic, material.roughness, material.clearcoat, material.opacity) == (1.0, 0.25, 0.5, 0.5)
    assert material.emissive == (0.5, 1.0, 2.0)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("ND_standard_surface_surfaceshader", {"transmission": 1.0, "specular_IOR": 1.25}),
        ("ND_open_pbr_surface_surfaceshader", {"transmission_weight": 1.0, "specular_ior": 1.25}),
        ("ND_gltf_pbr_surfaceshader", {"transmission": 1.0, "ior": 1.25, "metallic": 0.0}),
    ],
)
def test_glass_of_each_materialx_surface(stage, kind, inputs):
    surface = node(stage, "S", kind, **{key: ("Float", value) for key, value in inputs.items()})
    material = bound(stage, surface)[2]
    assert (material.transmission, material.ior, material.opacity) == (1.0, 1.25, 1.0)
    assert material.blended and not material.cut_out


@pytest.mark.parametrize(("mode", "want"), [(0, (1.0, 0.0, False)), (1, (0.25, 0.75, False)), (2, (0.25, 0.0, True))])
def test_alpha_modes_of_gltf(stage, mode, want):
    surface = node(
        stage,
        "S",
        "ND_gltf_pbr_surfaceshader",
        alpha=("Float", 0.25),
        alpha_mode=("Int", mode),
        alpha_cutoff=("Float", 0.75),
    )
    material = bound(stage, surface)[2]
    assert (material.opacity, material.opacity_threshold, material.blended) == want


def test_channels_products_and_inversions_of_images(stage):
    image = node(stage, "I", "ND_image_vector3", "out", file=("Asset", "image.png"))
    green = node(stage, "G", "ND_extract_vector3", "out", **{"in": image}, index=("Int", 1))
    less = node(stage, "L", "ND_multiply_float", "out", in1=green, in2=("Float", 0.5))
    other = node(stage, "O", "ND_invert_float", "out", **{"in": less})
    surface = node(stage, "S", "ND_standard_surface_surfaceshader", specular_roughness=other)
    slot = bound(stage, surface)[2].roughness_slot
    assert slot.channel == 1
    assert slot.scale[1] == -0.5 and slot.bias[1] == 1.0


def test_omni_glass(stage):
    material = mdl(
        stage,
        "OmniGlass",
        glass_color=("Color3f", (0.5, 0.75, 1.0)),
        frosting_roughness=("Float", 0.25),
        glass_ior=("Float", 1.25),
    )
    assert (material.transmission, material.transmission_color) == (1.0, (0.5, 0.75, 1.0))
    assert (material.roughness, material.ior, material.opacity) == (0.25, 1.25, 1.0)


def test_omni_surface(stage):
    material = mdl(
        stage,
        "OmniSurface",
        diffuse_reflection_weight=("Float", 0.5),
        diffuse_reflection_color=("Color3f", (0.5, 1.0, 0.25)),
        diffuse_reflection_color_image=("Asset", "image.png"),
        metalness=("Float", 0.75),
        specular_reflection_roughness=("Float", 0.25),
        coat_weight=("Float", 0.5),
    )
    assert material.base_color == (0.25, 0.5, 0.125)
    assert material.base_color_slot.scale[:3] == (0.5, 0.5, 0.5)
    assert (material.metallic, material.roughness, material.clearcoat) == (0.75, 0.25, 0.5)


def test_omni_pbr_with_clear_coat_and_packed_occlusion(stage):
    material = mdl(
        stage,
        "OmniPBR_ClearCoat",
        enable_clearcoat=("Bool", True),
        clearcoat_weight=("Float", 0.5),
        clearcoat_reflection_roughness=("Float", 0.25),
        enable_ORM_texture=("Bool", True),
        ORM_texture=("Asset", "image.png"),
        ao_to_diffuse=("Float", 0.5),
    )
    assert (material.clearcoat, material.clearcoat_roughness) == (0.5, 0.25)
    assert material.occlusion_slot.channel == 0 and material.occlusion_slot.bias[0] == 0.5
    assert (material.roughness_slot.channel, material.metallic_slot.channel) == (1, 2)


def test_a_preview_binding_counts_where_there_is_no_other(stage):
    material = UsdShade.Material.Define(stage, "/Preview")
    surface = UsdShade.Shader.Define(stage, "/Preview/S")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.125)
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    api = UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath("/Quad"))
    api.Bind(material, materialPurpose=UsdShade.Tokens.preview)
    scene = StageReader(stage).scene
    assert scene.materials[int(scene.meshes[0].materials[0])].roughness == 0.125


def test_opacity_that_varies_is_read_at_the_corners(stage):
    primvar(stage, "displayOpacity", Sdf.ValueTypeNames.FloatArray, [0.0, 0.25, 0.5, 1.0])
    scene = StageReader(stage).scene
    mesh = scene.meshes[0]
    material = scene.materials[int(mesh.materials[0])]
    assert material.blended and material.opacity_slot.color_set == 1
    np.testing.assert_allclose(mesh.more_colors[0][:, :, 0], [[0.0, 0.25, 0.5], [0.0, 0.5, 1.0]])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("top_down", [False, True])
def test_tga_images(channels, packed, top_down):
    image = np.random.default_rng(3).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    encoded = tga(image, packed=packed, top_down=top_down)
    np.testing.assert_array_equal(decode_tga(encoded), image)
    assert decode_tga(encoded[:-3]) is None


def test_a_tinted_coat_colours_what_lies_below(stage):
    surface = node(
        stage,
        "S",
        "ND_standard_surface_surfaceshader",
        base_color=("Color3f", (1.0, 0.5, 0.5)),
        coat=("Float", 1.0),
        coat_color=("Color3f", (0.5, 1.0, 0.5)),
    )
    assert bound(stage, surface)[2].base_color == (0.5, 0.5, 0.25)


MTLX = """<?xml version="1.0"?>
<materialx version="1.38" colorspace="lin_rec709">
  <nodegraph name="NG">
    <input name="tiles" type="vector2" value="2, 3" />
    <tiledimage name="i" type="color3">
      <input name="file" type="filename" value="{file}" colorspace="srgb_texture" />
      <input name="uvtiling" type="vector2" interfacename="tiles" />
    </tiledimage>
    <output name="c" type="color3" nodename="i" />
  </nodegraph>
  <standard_surface name="S" type="surfaceshader">
    <input name="base_color" type="color3" nodegraph="NG" output="c" />
    <input name="specular_roughness" type="float" value="0.25" />
    <input name="metalness" type="float" value="0.75" />
  </standard_surface>
  <surfacematerial name="Brass" type="material">
    <input name="surfaceshader" type="surfaceshader" nodename="S" />
  </surfacematerial>
</materialx>
"""


@pytest.mark.parametrize(
    ("arc", "target", "name"), [("/Looks", "/MaterialX/Materials", "/Looks/Brass"), ("/B", None, "/B")]
)
def test_materials_of_referenced_materialx_files(stage, tmp_path, arc, target, name):
    (tmp_path / "brass.mtlx").write_text(MTLX.format(file="image.png"))
    stage.DefinePrim(arc, "Material" if target is None else "Scope").GetReferences().AddReference(
        "./brass.mtlx", target or "/MaterialX/Materials/Brass"
    )
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath("/Quad"))
    stage.GetPrimAtPath("/Quad").CreateRelationship("material:binding").SetTargets([name])
    scene = StageReader(stage).scene
    material = scene.materials[int(scene.meshes[0].materials[0])]
    slot = material.base_color_slot
    assert (material.roughness, material.metallic, slot.uv_scale) == (0.25, 0.75, (2.0, 3.0))
    np.testing.assert_array_equal(scene.textures[slot.texture].texels, PIXELS)
    assert scene.textures[slot.texture].srgb
    assert not [note for note in scene.notes if "mtlx" in note]


def test_untrusted_materialx_files_are_judged(stage, tmp_path):
    stage.DefinePrim("/Looks", "Scope").GetReferences().AddReference("./brass.mtlx", "/MaterialX/Materials")
    stage.Save()
    (tmp_path / "brass.mtlx").write_text(MTLX.format(file="./image.png"))
    check_trust(str(tmp_path / "scene.usda"))
    (tmp_path / "brass.mtlx").write_text(MTLX.format(file="../image.png"))
    with pytest.raises(SourceError, match=r"'\.\./image\.png' in .*brass\.mtlx"):
        check_trust(str(tmp_path / "scene.usda"))


@pytest.mark.parametrize(("alpha", "threshold", "used"), [(255, 0.0, False), (254, 0.0, True), (200, 0.5, False)])
def test_an_opacity_image_that_is_solid_all_over_costs_nothing(stage, tmp_path, alpha, threshold, used):
    cv2.imwrite(str(tmp_path / "solid.png"), np.full((4, 4, 4), alpha, np.uint8))
    image = node(stage, "T", "UsdUVTexture", "a", file=("Asset", "solid.png"))
    surface = node(stage, "S", "UsdPreviewSurface", opacity=image, opacityThreshold=("Float", threshold))
    material = bound(stage, surface)[2]
    assert (material.opacity_slot.used, material.blended or material.cut_out) == (used, used)


def colored(stage, path, red):
    material = UsdShade.Material.Define(stage, path)
    surface = UsdShade.Shader.Define(stage, f"{path}/S")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set((red, 0.0, 0.0))
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    return material


def test_collections_and_strength_decide_the_binding(stage):
    parent = UsdGeom.Xform.Define(stage, "/Set").GetPrim()
    for name in ("A", "B"):
        UsdGeom.Cube.Define(stage, f"/Set/{name}")
    weak, strong, picked = (colored(stage, f"/L{k}", k / 4.0) for k in (1, 2, 3))
    for name in ("A", "B"):
        UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath(f"/Set/{name}")).Bind(weak)
    api = UsdShade.MaterialBindingAPI.Apply(parent)
    api.Bind(strong, UsdShade.Tokens.strongerThanDescendants)

    def red(name):
        scene = StageReader(stage).scene
        row = [item.prim_path for item in scene.drawn].index(f"/Set/{name}")
        index = int(scene.material_of[row])
        return scene.materials[index if index >= 0 else int(scene.meshes[scene.mesh_of[row]].materials[0])].base_color[
            0
        ]

    assert (red("A"), red("B")) == (0.5, 0.5)
    collection = Usd.CollectionAPI.Apply(parent, "some")
    collection.IncludePath("/Set/B")
    api.Bind(collection, picked, "some", UsdShade.Tokens.strongerThanDescendants)
    assert (red("A"), red("B")) == (0.5, 0.75)


def test_primvars_survive_in_prototypes_of_point_instancers(stage):
    reader = node(stage, "A", "UsdPrimvarReader_float", "result", varname=("String", "rough"))
    bound(stage, node(stage, "S", "UsdPreviewSurface", roughness=reader))
    instancer = UsdGeom.PointInstancer.Define(stage, "/Many")
    for name, value in (("One", 0.25), ("Two", 0.75)):
        mesh = UsdGeom.Mesh.Define(stage, f"/Many/Tree/{name}")
        mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (1, 1, 0)])
        mesh.CreateFaceVertexCountsAttr([3])
        mesh.CreateFaceVertexIndicesAttr([0, 1, 2])
        primvar(stage, "rough", Sdf.ValueTypeNames.FloatArray, [value], "constant", prim=f"/Many/Tree/{name}")
        UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(UsdShade.Material.Get(stage, "/M"))
    instancer.CreatePrototypesRel().SetTargets(["/Many/Tree"])
    instancer.CreateProtoIndicesAttr([0])
    instancer.CreatePositionsAttr([(0, 0, 0)])
    scene = StageReader(stage).scene
    row = [item.prim_path for item in scene.drawn].index("/Many[0]")
    np.testing.assert_allclose(scene.meshes[scene.mesh_of[row]].more_colors[0][:, 0, 0], [0.25, 0.75])
