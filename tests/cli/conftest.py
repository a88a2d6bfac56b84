import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

# What the installed script does.
COMMAND = "import sys; from cosmos.bridge_command import main; sys.exit(main())"

STAGE = """#usda 1.0
(
    defaultPrim = "World"
    metersPerUnit = 1
    upAxis = "Z"
    startTimeCode = 0
    endTimeCode = 23
    timeCodesPerSecond = 24
)

def Xform "World"
{
    def Camera "Camera"
    {
        float focalLength = 24
        float horizontalAperture = 20.955
        float verticalAperture = 15.2908
        float2 clippingRange = (0.1, 100)
        matrix4d xformOp:transform = ( (1, 0, 0, 0), (0, 0, 1, 0), (0, -1, 0, 0), (0, -8, 1.5, 1) )
        uniform token[] xformOpOrder = ["xformOp:transform"]
    }

    def Camera "Side"
    {
        float focalLength = 24
        float horizontalAperture = 20.955
        float verticalAperture = 15.2908
        float2 clippingRange = (0.1, 100)
        matrix4d xformOp:transform = ( (0, 1, 0, 0), (0, 0, 1, 0), (1, 0, 0, 0), (8, 0, 1.5, 1) )
        uniform token[] xformOpOrder = ["xformOp:transform"]
    }

    def DistantLight "Sun"
    {
        float inputs:intensity = 3
        float3 xformOp:rotateXYZ = (40, 20, 0)
        uniform token[] xformOpOrder = ["xformOp:rotateXYZ"]
    }

    def Mesh "Floor"
    {
        int[] faceVertexCounts = [4]
        int[] faceVertexIndices = [0, 1, 2, 3]
        point3f[] points = [(-9, -9, 0), (9, -9, 0), (9, 9, 0), (-9, 9, 0)]
        color3f[] primvars:displayColor = [(0.4, 0.4, 0.42)]
    }

    def Cube "Crate" (
        prepend apiSchemas = ["SemanticsLabelsAPI:class"]
    )
    {
        double size = 2
        color3f[] primvars:displayColor = [(0.7, 0.3, 0.15)]
        token[] semantics:labels:class = ["crate"]
        double3 xformOp:translate.timeSamples = { 0: (-1, 0, 1), 23: (1, 0, 1) }
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }
}
"""


@pytest.fixture
def stage(tmp_path):
    path = tmp_path / "scene.usda"
    path.write_text(STAGE)
    return path


@pytest.fixture
def cli(capsys):
    """Run the command line in this process; return exit code, stdout and stderr."""
    from cosmos.bridge.cli.main import main

    def run(*argv):
        try:
            code = main([str(word) for word in argv])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def small(stage, tmp_path):
    """The words of a run that takes about a second."""
    out = tmp_path / "out"
    options = ["--frames", "0:3", "--size", "36x64", "--transfer", "identity", "--prompt", "rain", "--out", out]
    return ["augment", stage, *options]


@pytest.fixture
def spawn():
    """Start the command line as a process of its own."""
    children = []

    def start(*argv, announce=False, **options):
        code = f"print('begun', flush=True); {COMMAND}" if announce else COMMAND
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        child = subprocess.Popen(
            [sys.executable, "-c", code, *[str(word) for word in argv]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            **options,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        if child.poll() is None:
            child.kill()
        child.communicate()
