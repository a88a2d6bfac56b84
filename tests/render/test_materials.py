"""Materials and textures as they are authored."""

import zipfile

import cv2
import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdLux, UsdShade, UsdUtils  # noqa: TID253

from cosmos.bridge.render.usd.stage import StageReader

PIXELS = np.array([[[255, 0, 0, 255], [0, 255, 0, 128]], [[0, 0, 255, 0], [9, 8, 7, 255]]], np.uint8)  # RGBA


@pytest.fixture
def stage(tmp_path):
    made = Usd.Stage.CreateNew(str(tmp_path / "scene.usda"))
    UsdGeom.SetStageMetersPerUnit(made, 1.0)
    UsdGeom.Xform.Define(made, "/World")
    made.SetDefaultPrim(made.GetPrimAtPath("/World"))
    cube = UsdGeom.Cube.Define(made, "/World/Cube")
    UsdShade.MaterialBindingAPI.Apply(cube.GetPrim())
    cv2.imwrite(str(tmp_path / "image.png"), PIXELS[..., [2, 1, 0, 3]])
    return made


def bind(stage, name="/World/M", prim="/World/Cube"):
    material = UsdShade.Material.Define(stage, name)
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath(prim)).Bind(material)
    return material


def preview(stage, name="/World/M", **inputs):
    material = bind(stage, name)
    shader = UsdShade.Shader.Define(stage, f"{name}/S")
    shader.CreateIdAttr("UsdPreviewSurface")
    for key, value in inputs.items():
        kind = Sdf.ValueTypeNames.Color3f if isinstance(value, tuple) else Sdf.ValueTypeNames.Float
        shader.CreateInput(key, kind).Set(value)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    return material, shader


def image_node(stage, path, file="image.png", output="rgb", **inputs):
    node = UsdShade.Shader.Define(stage, path)
    node.CreateIdAttr("UsdUVTexture")
    node.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(file)
    for key, value in inputs.items():
        kind = Sdf.ValueTypeNames.Float4 if isinstance(value, tuple) else Sdf.ValueTypeNames.Token
        node.CreateInput(key, kind).Set(value)
    node.CreateOutput(output, Sdf.ValueTypeNames.Float3)
    return node


def only_material(stage):
    scene = StageReader(stage).scene
    row = [item.prim_path for item in scene.drawn].index("/World/Cube")
    own = int(scene.meshes[scene.mesh_of[row]].materials[0])
    index = int(scene.material_of[row])
    return scene, scene.materials[index if index >= 0 else own]


def test_constants_of_a_preview_surface(stage):
    preview(
        stage, diffuseColor=(0.25, 0.5, 0.75), emissiveColor=(1.0, 2.0, 3.0), metallic=0.5, roughness=0.25, opacity=0.5
    )
    _, material = only_material(stage)
    assert material.name == "/World/M"
    assert material.base_color == (0.25, 0.5, 0.75)
    assert material.emissive == (1.0, 2.0, 3.0)
    assert (material.metallic, material.roughness, material.opacity) == (0.5, 0.25, 0.5)
    assert material.base_color_slot.texture == -1
    assert not material.use_display_color


def test_texture_network(stage):
    _, shader = preview(stage)
    reader = UsdShade.Shader.Define(stage, "/World/M/R")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("map7")
    place = UsdShade.Shader.Define(stage, "/World/M/P")
    place.CreateIdAttr("UsdTransform2d")
    place.CreateInput("in", Sdf.ValueTypeNames.Float2).ConnectToSource(reader.ConnectableAPI(), "result")
    place.CreateInput("scale", Sdf.ValueTypeNames.Float2).Set((2, 3))
    place.CreateInput("rotation", Sdf.ValueTypeNames.Float).Set(30)
    place.CreateInput("translation", Sdf.ValueTypeNames.Float2).Set((0.5, 0.25))
    image = image_node(stage, "/World/M/T", wrapS="mirror", wrapT="clamp", scale=(0.5, 0.5, 0.5, 1.0), bias=(0.25,) * 4)
    image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(place.ConnectableAPI(), "result")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(image.ConnectableAPI(), "rgb")
    mask = image_node(stage, "/World/M/A", output="a", sourceColorSpace="raw")
    shader.CreateInput("opacity", Sdf.ValueTypeNames.Float).ConnectToSource(mask.ConnectableAPI(), "a")
    bumps = image_node(stage, "/World/M/N")
    shader.CreateInput("normal", Sdf.ValueTypeNames.Normal3f).ConnectToSource(bumps.ConnectableAPI(), "rgb")
    scene, material = only_material(stage)
    slot = material.base_color_slot
    texture = scene.textures[slot.texture]
    np.testing.assert_array_equal(texture.texels, PIXELS)
    assert texture.srgb
    assert (texture.wrap_s, texture.wrap_t) == ("mirror", "clamp")
    assert slot.scale == (0.5, 0.5, 0.5, 1.0)
    assert slot.bias == (0.25, 0.25, 0.25, 0.25)
    assert (slot.uv_scale, slot.uv_rotation, slot.uv_offset) == ((2.0, 3.0), 30.0, (0.5, 0.25))
    assert material.opacity_slot.channel == 3
    assert not scene.textures[material.opacity_slot.texture].srgb
    assert material.normal_slot.scale == (2.0, 2.0, 2.0, 1.0)
    assert material.normal_slot.bias == (-1.0, -1.0, -1.0, 0.0)
    assert not scene.textures[material.normal_slot.texture].srgb
    assert texture.texels is scene.textures[material.normal_slot.texture].texels


def test_reader_name_picks_the_uvs(stage):
    mesh = UsdGeom.Mesh.Define(stage, "/World/Quad")
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (1, 1, 0)])
    mesh.CreateFaceVertexCountsAttr([3])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2])
    for name, value in (("st", 0.25), ("map7", 0.75)):
        UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(name, Sdf.ValueTypeNames.TexCoord2fArray, "vertex").Set(
            [(value,) * 2] * 3
        )
    _, shader = preview(stage)
    reader = UsdShade.Shader.Define(stage, "/World/M/R")
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", Sdf.ValueTypeNames.Token).Set("map7")
    image = image_node(stage, "/World/M/T")
    image.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(reader.ConnectableAPI(), "result")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(image.ConnectableAPI(), "rgb")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(UsdShade.Material.Get(stage, "/World/M"))
    scene = StageReader(stage).scene
    row = [item.prim_path for item in scene.drawn].index("/World/Quad")
    np.testing.assert_allclose(scene.meshes[scene.mesh_of[row]].uvs, 0.75)


def test_interface_inputs_are_followed(stage):
    material, shader = preview(stage)
    material.CreateInput("paint", Sdf.ValueTypeNames.Color3f).Set((0.125, 0.25, 0.5))
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(
        material.ConnectableAPI(), "paint", UsdShade.AttributeType.Input
    )
    assert only_material(stage)[1].base_color == (0.125, 0.25, 0.5)


def test_subsets_decide_the_material_of_faces(stage):
    mesh = UsdGeom.Mesh.Define(stage, "/World/Mesh")
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])
    mesh.CreateFaceVertexCountsAttr([3, 3])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 0, 2, 3])
    subset = UsdGeom.Subset.CreateGeomSubset(mesh, "part", "face", [1, 99], "materialBind")
    preview(stage, diffuseColor=(1.0, 0.0, 0.0))
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(UsdShade.Material.Get(stage, "/World/M"))
    scene = StageReader(stage).scene
    row = [item.prim_path for item in scene.drawn].index("/World/Mesh")
    assert scene.material_of[row] == -1
    names = [scene.materials[k].name for k in scene.meshes[scene.mesh_of[row]].materials]
    assert names == ["displayColor", "/World/M"]
    assert any("faces that their mesh lacks" in note for note in scene.notes)


def test_display_opacity_and_colour_without_material(stage):
    cube = UsdGeom.Cube.Get(stage, "/World/Cube")
    cube.CreateDisplayColorAttr([(0.1, 0.2, 0.3)])
    cube.CreateDisplayOpacityAttr([0.5])
    scene, material = only_material(stage)
    assert material.use_display_color
    assert material.opacity == 0.5
    np.testing.assert_allclose(scene.color_of[0], (0.1, 0.2, 0.3))


def test_missing_and_corrupt_images_become_a_checker_with_one_note(stage, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no image")
    (tmp_path / "empty.png").write_bytes(b"")
    for key, file in (("M", "gone.png"), ("B", "broken.png"), ("E", "empty.png")):
        _, shader = preview(stage, f"/World/{key}")
        image = image_node(stage, f"/World/{key}/T", file)
        shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(image.ConnectableAPI(), "rgb")
        UsdGeom.Cube.Define(stage, f"/World/Cube{key}")
        UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath(f"/World/Cube{key}")).Bind(
            UsdShade.Material.Get(stage, f"/World/{key}")
        )
    scene = StageReader(stage).scene
    assert len(scene.textures) == 3
    for texture in scene.textures:
        colours = np.unique(texture.texels.reshape(-1, 4), axis=0)
        np.testing.assert_array_equal(colours, [[0, 0, 0, 255], [255, 0, 255, 255]])
    assert any("cannot be found" in note and "gone.png" in note for note in scene.notes)
    assert any("cannot be decoded" in note and "1 more" in note for note in scene.notes)


def test_images_inside_a_usdz_are_read(stage, tmp_path):
    _, shader = preview(stage)
    image = image_node(stage, "/World/M/T")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(image.ConnectableAPI(), "rgb")
    stage.Save()
    package = tmp_path / "packed" / "scene.usdz"
    package.parent.mkdir()
    assert UsdUtils.CreateNewUsdzPackage(str(tmp_path / "scene.usda"), str(package))
    assert any(name.endswith(".png") for name in zipfile.ZipFile(package).namelist())
    (tmp_path / "image.png").unlink()
    scene = StageReader(package).scene
    np.testing.assert_array_equal(scene.textures[0].texels, PIXELS)
    assert scene.notes == ()


@pytest.mark.parametrize("kind", ["grey", "grey16", "rgb16", "jpg"])
def test_image_kinds(stage, tmp_path, kind):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    images = {
        "grey": grey,
        "grey16": grey.astype(np.uint16) * 257,
        "rgb16": np.stack([grey] * 3, -1).astype(np.uint16) * 257,
        "jpg": np.full((8, 8, 3), (30, 120, 220), np.uint8),
    }
    file = f"kind.{'jpg' if kind == 'jpg' else 'png'}"
    cv2.imwrite(str(tmp_path / file), images[kind])
    _, shader = preview(stage)
    node = image_node(stage, "/World/M/T", file)
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(node.ConnectableAPI(), "rgb")
    texture = StageReader(stage).scene.textures[0]
    assert texture.srgb == (kind == "jpg")
    if kind == "jpg":
        np.testing.assert_allclose(texture.texels[4, 4], (220, 120, 30, 255), atol=3)
    else:
        np.testing.assert_array_equal(texture.texels, np.dstack([grey] * 3 + [np.full_like(grey, 255)]))


@pytest.mark.parametrize("suffix", ["hdr", "exr"])
def test_sky_images_of_high_range_keep_their_light(stage, tmp_path, suffix):
    sky = np.random.default_rng(2).uniform(0.0, 30.0, (16, 32, 3)).astype(np.float32)
    file = tmp_path / f"sky.{suffix}"
    if suffix == "hdr":
        assert cv2.imwrite(str(file), sky[..., ::-1])
    else:
        import OpenEXR

        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"RGB": sky}).write(str(file))
    dome = UsdLux.DomeLight.Define(stage, "/World/Sky")
    dome.CreateTextureFileAttr(file.name)
    dome.CreateIntensityAttr(2.0)
    scene = StageReader(stage).scene
    texture, light = scene.textures[0], scene.lights[0]
    assert light.texture == 0
    assert (texture.wrap_s, texture.wrap_t, texture.srgb) == ("repeat", "clamp", False)
    np.testing.assert_allclose(texture.texels * light.color, 2.0 * sky, atol=0.6)


def test_missing_sky_image_is_left_out_with_a_note(stage):
    UsdLux.DomeLight.Define(stage, "/World/Sky").CreateTextureFileAttr("gone.hdr")
    scene = StageReader(stage).scene
    assert scene.lights[0].texture == -1
    assert scene.textures == ()
    assert any("gone.hdr" in note for note in scene.notes)


def mdl(stage, kind, **inputs):
    material = bind(stage)
    shader = UsdShade.Shader.Define(stage, "/World/M/S")
    shader.CreateImplementationSourceAttr("sourceAsset")
    shader.SetSourceAsset(Sdf.AssetPath(f"{kind}.mdl"), "mdl")
    shader.SetSourceAssetSubIdentifier(kind, "mdl")
    for key, value in inputs.items():
        types = {tuple: Sdf.ValueTypeNames.Color3f, bool: Sdf.ValueTypeNames.Bool, str: Sdf.ValueTypeNames.Asset}
        shader.CreateInput(key, types.get(type(value), Sdf.ValueTypeNames.Float)).Set(value)
    material.CreateSurfaceOutput("mdl").ConnectToSource(shader.ConnectableAPI(), "out")
    return shader


def test_omni_pbr_inputs(stage):
    shader = mdl(
        stage,
        "OmniPBR",
        diffuse_color_constant=(0.25, 0.5, 1.0),
        diffuse_tint=(1.0, 0.5, 1.0),
        reflection_roughness_constant=0.75,
        metallic_constant=1.0,
        enable_emission=True,
        emissive_color=(1.0, 0.5, 0.0),
        emissive_intensity=2000.0,
        diffuse_texture="image.png",
        normalmap_texture="image.png",
        ORM_texture="image.png",
        enable_ORM_texture=True,
    )
    shader.CreateInput("texture_scale", Sdf.ValueTypeNames.Float2).Set((4, 2))
    scene, material = only_material(stage)
    assert material.base_color == (0.25, 0.25, 1.0)
    assert (material.roughness, material.metallic) == (0.75, 1.0)
    assert material.emissive == (2.0, 1.0, 0.0)
    assert scene.textures[material.base_color_slot.texture].srgb
    assert not scene.textures[material.normal_slot.texture].srgb
    assert material.base_color_slot.uv_scale == (4.0, 2.0)
    assert material.base_color_slot.scale == (1.0, 0.5, 1.0, 1.0)
    assert (material.roughness_slot.channel, material.metallic_slot.channel) == (1, 2)
    assert scene.notes == ()


def test_omni_pbr_glows_as_its_picture_where_there_is_one(stage):
    texture = {"emissive_color_texture": "image.png", "emissive_mask_texture": "image.png"}
    mdl(stage, "OmniPBR", enable_emission=True, emissive_color=(1.0, 0.5, 0.0), emissive_intensity=2000.0, **texture)
    scene, material = only_material(stage)
    assert scene.textures[material.emissive_slot.texture].srgb  # colours, and not the mask, which is raw
    assert material.emissive_slot.scale == (2.0, 2.0, 2.0, 1.0)  # the picture takes the place of the colour


def test_omni_pbr_defaults(stage):
    mdl(stage, "OmniPBR")
    _, material = only_material(stage)
    np.testing.assert_allclose(material.base_color, (0.2, 0.2, 0.2))
    assert (material.roughness, material.metallic, material.opacity, material.emissive) == (0.5, 0.0, 1.0, (0.0,) * 3)


def test_preview_surface_beside_mdl_wins(stage):
    mdl(stage, "Odd")
    shader = UsdShade.Shader.Define(stage, "/World/M/P")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.125)
    UsdShade.Material.Get(stage, "/World/M").CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    assert only_material(stage)[1].roughness == 0.125


def test_unknown_materials_are_clear_grey_with_one_note(stage):
    mdl(stage, "Marble")
    bind(stage, "/World/Empty", "/World/Cube")
    UsdGeom.Cube.Define(stage, "/World/Other")
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath("/World/Other")).Bind(
        UsdShade.Material.Get(stage, "/World/M")
    )
    scene, material = only_material(stage)
    assert material.base_color == (0.5, 0.5, 0.5)
    assert [note for note in scene.notes if "clear grey" in note] == [
        "Materials of no surface shader that is read here are drawn clear grey: /World/Empty.",
        "Materials of the kind Marble are drawn clear grey: /World/M.",
    ]


def test_inputs_that_are_no_numbers_keep_their_default(stage):
    _, shader = preview(stage, roughness=float("nan"))
    shader.CreateInput("metallic", Sdf.ValueTypeNames.String).Set("much")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Float).Set(0.5)
    scene, material = only_material(stage)
    assert (material.roughness, material.metallic, material.base_color) == (0.5, 0.0, (0.18, 0.18, 0.18))
    assert any("no finite numbers" in note for note in scene.notes)


def test_colour_read_from_displaycolor(stage):
    _, shader = preview(stage)
    reader = UsdShade.Shader.Define(stage, "/World/M/R")
    reader.CreateIdAttr("UsdPrimvarReader_float3")
    name = reader.CreateInput("varname", Sdf.ValueTypeNames.String)
    name.Set("displayColor")
    reader.CreateInput("fallback", Sdf.ValueTypeNames.Float3).Set((0.5, 0.25, 0.125))
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(reader.ConnectableAPI(), "result")
    assert only_material(stage)[1].use_display_color
    name.Set("paint")
    scene, material = only_material(stage)
    assert not material.use_display_color
    assert material.base_color == (0.5, 0.25, 0.125)
    assert any("'paint'" in note for note in scene.notes)
