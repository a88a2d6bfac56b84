"""Stages from somebody else: what they may name, and what is refused before it is opened."""

import shutil
import zipfile

import cv2
import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdShade, UsdUtils  # noqa: TID253

from cosmos.bridge.cli.main import main
from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.usd.stage import StageReader
from cosmos.bridge.render.usd.trust import check_trust
from cosmos.bridge.sources import open_source

CUBE = '#usda 1.0\n(\n    defaultPrim = "A"\n    metersPerUnit = 1\n)\ndef Cube "A" {}\n'


@pytest.fixture
def place(tmp_path):
    """A folder with a secret layer and picture beside it."""
    (tmp_path / "secret.usda").write_text(CUBE)
    cv2.imwrite(str(tmp_path / "secret.png"), np.zeros((2, 2, 3), np.uint8))
    folder = tmp_path / "asset"
    (folder / "parts").mkdir(parents=True)
    (folder / "parts" / "cube.usda").write_text(CUBE)
    cv2.imwrite(str(folder / "own.png"), np.zeros((2, 2, 3), np.uint8))
    return folder


def author(place, body, name="scene.usda", head=""):
    body = body.replace("{ ", "{\n").replace(" }", "\n}").replace("; ", "\n")
    text = f'#usda 1.0\n(\n    metersPerUnit = 1\n{head}\n)\ndef Cube "C" {{}}\n{body}\n'
    (place / name).write_text(text)
    return str(place / name)


def test_what_stays_in_the_folder_passes_and_is_drawn(place):
    body = (
        'def "P" (references = @./parts/cube.usda@) {}\n'
        'def Material "M" { asset inputs:file = @own.png@; asset inputs:far = @./missing.png@ }\n'
        'def "X" { asset info:mdl:sourceAsset = @OmniPBR.mdl@; asset a = @./parts/../own.png@ }'
    )
    path = author(place, body)
    reader = StageReader(path, untrusted=True)
    assert [item.prim_path for item in reader.scene.drawn] == ["/C", "/P"]
    Renderer(path, device="cpu", untrusted=True).close()


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret.usda", "parts/../../secret.usda", "file:///etc/passwd"])
@pytest.mark.parametrize(
    "body",
    [
        'def "P" (references = @{}@) {{}}',
        'def "P" (payload = @{}@) {{}}',
        'def "P" (add references = [@./parts/cube.usda@, @{}@</A>]) {{}}',
        'def "P" {{ asset inputs:file = @{}@ }}',
        'def "P" {{ asset[] files = [@own.png@, @{}@] }}',
        'def "P" {{ asset inputs:file.timeSamples = {{ 1: @own.png@, 2: @{}@ }} }}',
        'def "P" (variants = {{ string v = "a" }}; prepend variantSets = "v") '
        '{{ variantSet "v" = {{ "a" {{}}; "b" (payload = @{}@) {{}} }} }}',
        'def "P" (clips = {{ dictionary default = {{ asset[] assetPaths = [@{}@] }} }}) {{}}',
        'def "P" (customData = {{ asset hidden = @{}@ }}) {{}}',
        'def "P" (assetInfo = {{ asset identifier = @{}@ }}) {{}}',
    ],
)
def test_paths_that_lead_out_are_named(place, body, target):
    path = author(place, body.format(target))
    with pytest.raises(SourceError, match="is refused because") as caught:
        check_trust(path)
    assert target in str(caught.value)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://example.com/a.usd", "URL scheme"),
        ("C:/a.usd", "URL scheme or a drive"),
        ("anon:0x1:a.usda", "URL scheme"),
        ("omniverse://host/a.usd", "URL scheme"),
        ("..\\\\secret.usda", "climbs above"),
        ("\\\\\\\\host\\\\share\\\\a.usd", "absolute"),
        ("`${WHERE}`", "not a plain path"),
        ("nowhere.usda", "looked for elsewhere"),
        ("../secret.usda:SDF_FORMAT_ARGS:a=b", "climbs above"),
        ("../secret.usdz[a.usda]", "climbs above"),
        ("./own.usdz[../a.usda]", "climbs out of its package"),
    ],
)
def test_each_reason_is_given(place, target, reason):
    path = str(place / "scene.usda")
    layer = Sdf.Layer.CreateNew(path)
    prim = Sdf.CreatePrimInLayer(layer, "/P")
    prim.specifier = Sdf.SpecifierDef
    attribute = Sdf.AttributeSpec(prim, "file", Sdf.ValueTypeNames.Asset)
    attribute.default = Sdf.AssetPath(target.replace("\\\\", "\\"))
    layer.Save()
    with pytest.raises(SourceError, match=reason):
        check_trust(path)


def test_sublayers_and_what_they_name_are_looked_into(place):
    author(place, 'def "P" (references = @../../secret.usda@) {}', name="parts/deep.usda")
    path = author(place, "", head="    subLayers = [@./parts/deep.usda@]")
    with pytest.raises(SourceError, match=r"'\.\./\.\./secret\.usda' in .*deep\.usda"):
        check_trust(path)
    with pytest.raises(SourceError, match="climbs above"):
        check_trust(author(place, "", head="    subLayers = [@../secret.usda@]"))


def test_layers_that_name_each_other_end(place):
    author(place, 'def "Q" (references = @./scene.usda@</C>) {}', name="other.usda")
    check_trust(author(place, 'def "P" (references = @./other.usda@</Q>) {}'))


def test_links_out_of_the_folder_are_refused(place):
    (place / "link.png").symlink_to(place.parent / "secret.png")
    with pytest.raises(SourceError, match="link out of"):
        check_trust(author(place, 'def "P" { asset f = @./link.png@ }'))
    (place / "around").symlink_to(place / "parts")
    check_trust(author(place, 'def "P" (references = @./around/cube.usda@) {}'))


def test_tiles_behind_a_pattern_are_refused_when_one_is_a_link(place):
    shutil.copy(place / "own.png", place / "skin.1001.png")
    path = author(place, 'def "P" { asset f = @./skin.<UDIM>.png@ }')
    check_trust(path)
    (place / "skin.1002.png").symlink_to(place.parent / "secret.png")
    with pytest.raises(SourceError, match="link out of"):
        check_trust(path)


def test_a_template_of_clips_is_judged(place):
    body = 'def "P" (clips = {{ dictionary default = {{ string templateAssetPath = "{}" }} }}) {{}}'
    check_trust(author(place, body.format("./clip.###.usda")))
    with pytest.raises(SourceError, match="climbs above"):
        check_trust(author(place, body.format("../clip.###.usda")))


def test_packages(place, tmp_path):
    inner = author(place, 'def "P" { asset f = @./own.png@ }', name="inner.usda")
    package = str(tmp_path / "box.usdz")
    assert UsdUtils.CreateNewUsdzPackage(inner, package)
    check_trust(package)
    bad = author(place, 'def "P" { asset f = @../../secret.png@ }', name="bad.usda")
    evil = str(tmp_path / "evil.usdz")
    with zipfile.ZipFile(evil, "w", zipfile.ZIP_STORED) as made:
        made.write(bad, "bad.usda")
    with pytest.raises(SourceError, match="climbs out of its package"):
        check_trust(evil)
    shutil.copy(evil, place / "evil.usdz")
    with pytest.raises(SourceError, match="climbs out of its package"):
        check_trust(author(place, 'def "P" (references = @./evil.usdz@) {}'))


def test_nothing_is_opened_before_it_is_judged(place):
    """A layer that composing would open must not even be known to USD after the refusal."""
    path = author(place, 'def "P" (references = @../secret.usda@) {}')
    with pytest.raises(SourceError):
        StageReader(path, untrusted=True)
    assert not [layer for layer in Sdf.Layer.GetLoadedLayers() if "secret" in layer.identifier]
    assert len(StageReader(path).scene.drawn) == 2


def test_an_open_stage_comes_too_late(place):
    with pytest.raises(SourceError, match="too late"):
        StageReader(Usd.Stage.CreateInMemory(), untrusted=True)


def test_the_option_reaches_every_way_in(place, capsys):
    path = author(place, 'def "P" (references = @../secret.usda@) {}')
    with pytest.raises(SourceError, match="refused"):
        open_source(path, untrusted=True)
    with pytest.raises(SourceError, match="refused"):
        Renderer(path, device="cpu", untrusted=True)
    assert main(["render", path, "--untrusted", "--out", str(place / "out"), "--annotators", "normals"]) != 0
    assert "../secret.usda" in capsys.readouterr().err
    config = BridgeConfig.from_mapping({"source": path, "out": "o", "prompts": "p", "untrusted": True})
    assert config.untrusted and BridgeConfig.from_mapping(config.to_mapping()) == config
    assert main(["augment", path, "--untrusted", "--prompt", "p", "--out", str(place / "o")]) != 0
    assert "../secret.usda" in capsys.readouterr().err


def test_broken_layers_are_left_to_the_parser(place):
    (place / "scene.usda").write_text("#usda 1.0\ndef {")
    check_trust(str(place / "scene.usda"))
    with pytest.raises(SourceError, match="cannot be read"):
        StageReader(str(place / "scene.usda"), untrusted=True)


def test_the_schema_of_a_textured_material_is_covered(place):
    stage = Usd.Stage.CreateNew(str(place / "scene.usda"))
    UsdGeom.Cube.Define(stage, "/C")
    node = UsdShade.Shader.Define(stage, "/T")
    node.CreateInput("file", Sdf.ValueTypeNames.Asset).Set("../secret.png")
    stage.Save()
    with pytest.raises(SourceError, match=r"\.\./secret\.png"):
        check_trust(str(place / "scene.usda"))


def test_a_link_is_judged_where_it_stands(place):
    """USD anchors what a layer names to the link by which it came to it, not to where the link leads."""
    (place / "a" / "b").mkdir(parents=True)
    author(place, 'def "Q" (references = @../../secret.usda@</A>) {}', name="a/b/deep.usda")
    (place / "link.usda").symlink_to(place / "a" / "b" / "deep.usda")
    path = author(place, 'def "P" (references = @./link.usda@</Q>) {}')
    with pytest.raises(SourceError, match="climbs above"):
        check_trust(path)
    (place / "secret.usda").write_text(CUBE)
    check_trust(author(place, 'def "P" (references = @./a/b/deep.usda@</Q>) {}'))


def test_a_stage_behind_a_link_is_judged_there(place, tmp_path):
    real = author(place, 'def "P" { asset f = @./own.png@ }')
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "scene.usda").symlink_to(real)
    check_trust(str(tmp_path / "else" / "scene.usda"))
    (tmp_path / "else" / "own.png").symlink_to(place / "own.png")
    with pytest.raises(SourceError, match="link out of"):
        check_trust(str(tmp_path / "else" / "scene.usda"))
