import pytest
import warp as wp

from cosmos.bridge.types import ControlKind, ControlSignal, ControlSignals, ControlWeights


def make_signal(kind, shape=(2, 3, 5, 3)):
    return ControlSignal(kind=kind, video=wp.zeros(shape, dtype=wp.uint8, device="cpu"))


def make_map(shape=(2, 3, 5), value=0.5, dtype=wp.float32):
    return wp.full(shape, value, dtype=dtype, device="cpu")


def test_kinds_print_as_their_names():
    assert [str(kind) for kind in ControlKind] == ["edge", "depth", "seg", "vis", "hdmap", "lidar"]
    assert ControlKind("vis") is ControlKind.VIS


def test_signals_are_kept_in_the_order_of_kinds():
    signals = ControlSignals(signals=(make_signal(ControlKind.SEG), make_signal(ControlKind.EDGE)))
    assert signals.kinds == (ControlKind.EDGE, ControlKind.SEG)
    assert [signal.kind for signal in signals] == [ControlKind.EDGE, ControlKind.SEG]
    assert ControlKind.SEG in signals
    assert ControlKind.VIS not in signals
    assert signals[ControlKind.SEG].kind == ControlKind.SEG
    with pytest.raises(KeyError, match=r"No vis control here; there is \['edge', 'seg'\]"):
        signals[ControlKind.VIS]


def test_signals_that_do_not_go_together_are_refused():
    with pytest.raises(ValueError, match="at most one video a kind"):
        ControlSignals(signals=(make_signal(ControlKind.SEG), make_signal(ControlKind.SEG)))
    with pytest.raises(ValueError, match="share one shape"):
        ControlSignals(signals=(make_signal(ControlKind.SEG), make_signal(ControlKind.EDGE, (2, 3, 4, 3))))


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 5, 4)])
def test_a_video_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"uint8 \[T, H, W, 3\]"):
        make_signal(ControlKind.EDGE, shape)


def test_a_video_of_another_dtype_is_refused():
    with pytest.raises(ValueError, match="got float32"):
        ControlSignal(kind=ControlKind.EDGE, video=wp.zeros((1, 2, 2, 3), dtype=wp.float32, device="cpu"))


def test_weights_know_which_kinds_act():
    weights = ControlWeights(edge=make_map(), depth=1, vis=0.25)
    assert weights.kinds == (ControlKind.EDGE, ControlKind.DEPTH, ControlKind.VIS)
    assert weights[ControlKind.VIS] == 0.25
    assert [kind for kind, _ in weights.items()] == list(ControlKind)
    assert ControlWeights().kinds == ()


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ({"edge": 1.1}, r"edge must lie in \[0, 1\], got 1.1"),
        ({"seg": -0.5}, "seg must lie in"),
        ({"vis": float("nan")}, "vis must lie in"),
        ({"edge": make_map((3, 5))}, r"float32 map \[T, H, W\]"),
        ({"edge": make_map(dtype=wp.float64)}, r"float32 map \[T, H, W\]"),
        ({"edge": make_map(), "depth": make_map((2, 3, 4))}, "maps must share one shape"),
    ],
)
def test_impossible_weights_are_refused(weights, match):
    with pytest.raises(ValueError, match=match):
        ControlWeights(**weights)
