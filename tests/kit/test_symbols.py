"""What of Kit is touched is what the list says, no more and no less, and every version has it."""

import ast
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import warp as wp

from cosmos.bridge.errors import SinkError
from cosmos.bridge.kit import compat, symbols
from kit.scene import CAMERAS, products_of
from kit.strict import PROFILES, VERSIONS, Watch
from kit.ui import find

KIT = Path(symbols.__file__).parent
DOCS = Path(__file__).resolve().parents[2] / "exts/cosmos.bridge/docs"


def covers(offered, name):
    """Return whether a listed symbol is this name, or lies within it."""
    return any(symbol == name or symbol.startswith(f"{name}.") for symbol in offered)


def exercise(kit, version, out):
    """Use everything once: settings, writer, back-pressure, closing stage."""
    machine = kit(version)
    import omni.replicator.core as rep

    machine.enable()
    from cosmos.bridge.kit import settings

    settings.keep(max_pending=1)
    out.mkdir()
    (out / "take_0001").write_text("in the way of the second take")
    writer = rep.WriterRegistry.get("CosmosBridgeWriter")
    writer.initialize(output_dir=str(out), prompt="rain", transfer="identity", num_frames=1)
    writer.attach(products_of(rep, CAMERAS[:1]))
    machine.timeline.play()
    machine.update(3)
    writer.wait_until_ready(machine.update)
    machine.update(3)
    machine.timeline.pause()
    with pytest.raises(SinkError):
        machine.run(writer.flush_async())
    writer.detach()
    look(machine, writer.runs[0].out / "cosmos_bridge_results.usda")
    machine.disable()
    return set(Watch.touched)


def use_panel(machine, out):
    """Fill in the panel, start, and look at what came."""
    for _ in range(2):
        machine.menu.click("Tools", "Replicator", "Cosmos Bridge")
    root = machine._extension._panel.window.frame
    studio = machine._extension._studio
    values = {f"camera:{CAMERAS[0]}": True, "prompt": "rain", "output_dir": str(out), "width": 96, "height": 64,
              "num_frames": 1, "edge": 0.25}  # fmt: skip
    for name, value in values.items():
        find(root, name).model.set_value(value)
        machine.update(2)
    find(root, "transfer").model.get_item_value_model().set_value(1)
    find(root, "copy_python")._click()
    find(root, "start")._click()
    deadline = time.monotonic() + 60.0
    while (studio.model.busy or studio.queue.pending or not studio.queue.runs) and time.monotonic() < deadline:
        machine.update()
        time.sleep(0.005)
    machine.update(2)
    find(root, "run:0:clip_0000:wipe")._click()
    machine.update()


def look(machine, results):
    """Show results on the stage, and pictures in every way there is."""
    from cosmos.bridge.kernels import wipe
    from cosmos.bridge.kit.live_texture import LiveTexture, Overlay
    from cosmos.bridge.kit.write_back import show_results
    from kit.ui import ByteImageProvider

    show_results(results)
    use_panel(machine, results.parents[1] / "panel")
    texture, overlay, black = LiveTexture(), Overlay(), wp.zeros((2, 2, 3), dtype=wp.uint8, device="cpu")
    texture.show(black, black)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(ByteImageProvider, "set_data_array")
        texture.show(black, black)
        shape, device = (2, 2, 4), SimpleNamespace(is_cuda=True, ordinal=0)
        patch.setattr(wipe, "wipe_pictures", lambda *_: SimpleNamespace(shape=shape, ptr=1, device=device))
        patch.setattr(wp, "synchronize_device", lambda _: None)
        texture.show(None, None)
    overlay.show(texture)
    overlay.hide()
    texture.close()


@pytest.fixture(scope="module")
def touched(tmp_path_factory, scene):
    """Version -> what was touched in it."""
    from kit.machine import Machine

    found = {}
    for version in PROFILES:
        with Machine(version, scene, ui=True) as machine:
            found[version] = exercise(lambda _, machine=machine: machine, version, tmp_path_factory.mktemp("out") / "o")
        if version in ("4.2", "6.2"):
            with Machine(version, None, standalone=True, ui=True):
                from cosmos.bridge.kit import selftest

                assert selftest.main(["--json", str(tmp_path_factory.mktemp("json") / "report.json")]) == 0
                found[version] |= Watch.touched
    return found


def test_versions_are_those_of_the_doubles():
    assert symbols.VERSIONS == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_touched_that_a_version_does_not_have_or_the_list_does_not_name(touched, version):
    offered = {symbol.name for symbol in symbols.SYMBOLS if symbol.in_version(version)}
    assert touched[version] and {name for name in touched[version] if not covers(offered, name)} == set()


def test_everything_on_the_list_is_touched_in_some_version(touched):
    every = set().union(*touched.values())
    idle = {
        symbol.name
        for symbol in symbols.SYMBOLS
        if not any(symbol.name == name or symbol.name.startswith(f"{name}.") for name in every)
    }
    assert idle == set()


def test_kit_is_imported_by_name_in_one_place_only():
    for path in KIT.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert not [name for name in names if name.split(".")[0] in ("omni", "carb", "isaacsim")], path
        if path.name != "compat.py":
            spelled = [
                node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
            asked = [text for text in spelled if text.split(".")[0] in ("omni", "carb", "isaacsim") and " " not in text]
            asked = [
                text for text in asked if not text.endswith(".")
            ]  # a name follows, and need() refuses unlisted ones
            assert path.name == "symbols.py" or set(asked) <= compat._KNOWN, path


def test_what_is_not_on_the_list_cannot_be_asked_for(kit):
    kit("5.1")
    from cosmos.bridge.kit import compat

    with pytest.raises(LookupError, match="not listed"):
        compat.find("omni.usd.create_new_stage")


def test_the_documentation_lists_the_symbols():
    assert symbols.table() in (DOCS / "kit.md").read_text(encoding="utf-8")


def test_without_kit_a_sentence_says_what_is_missing():
    from cosmos.bridge.kit import compat

    with pytest.raises(compat.KitError, match=r"omni\.ext\.IExt is missing; run this inside Isaac Sim"):
        compat.need("omni.ext.IExt")
