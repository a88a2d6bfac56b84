"""The drawing of recorded widgets: places and colours are held against numbers worked out by hand."""

import numpy as np
import pytest

pytest.importorskip("PIL")


@pytest.fixture
def draw(kit):
    kit("5.1", ui=True)
    import omni.ui as ui

    from kit.draw import HEADER, draw_window

    def drawn(build, width=216, height=100):
        window = ui.Window("Cosmos Bridge")
        with window.frame:
            build(ui)
        return draw_window(window, width, height)[HEADER + 8 :, 8:-8]  # 200 px of content

    return drawn


def box(ui, color, **given):
    return ui.Rectangle(style={"background_color": color}, **given)


RED, GREEN, BLUE = 0xFF0000FF, 0xFF00FF00, 0xFFFF0000


def test_pixels_percentages_and_fractions_share_a_row(draw):
    def build(ui):
        with ui.HStack(height=10, spacing=10):
            box(ui, RED, width=30)
            box(ui, GREEN, width=ui.Percent(25))
            box(ui, BLUE, width=ui.Fraction(3))
            box(ui, RED)

    row = draw(build)[5]
    spans = {"r": [], "g": [], "b": []}
    for x, pixel in enumerate(row.tolist()):
        name = {(255, 0, 0): "r", (0, 255, 0): "g", (0, 0, 255): "b"}.get(tuple(pixel))
        if name:
            spans[name].append(x)
    # 200 - 3 x 10 - 30 - 50 = 90 left, in parts of 3 and 1
    assert (spans["g"][0], spans["g"][-1]) == (40, 89)
    assert (spans["b"][0], spans["b"][-1]) == (100, 166)
    assert spans["r"] == [*range(30), *range(177, 200)]


def test_columns_layers_and_what_is_hidden(draw):
    def build(ui):
        with ui.VStack():
            box(ui, RED, height=20)
            box(ui, BLUE, height=20, visible=False)
            with ui.ZStack():
                box(ui, BLUE)
                box(ui, GREEN)

    column = draw(build)[:, 100]
    assert column[:20].tolist() == [[255, 0, 0]] * 20 and column[20:59].tolist() == [[0, 255, 0]] * 39


def test_long_text_wraps_and_makes_room(draw):
    heights = []
    for text in ("short", "a sentence that is much longer than the two hundred pixels there are for it"):

        def build(ui, text=text):
            with ui.VStack():
                ui.Label(text, word_wrap=True, height=0)
                box(ui, RED, height=5)

        picture = draw(build)
        heights.append(int(np.flatnonzero((picture == (255, 0, 0)).all(-1).any(1))[0]))
    assert heights[0] == 17 and heights[1] in (34, 51, 68)


def test_values_are_seen(draw):
    def build(ui, value=0.5):
        with ui.VStack():
            ui.ProgressBar(height=20).model.set_value(value)

    def filled(value):
        row = draw(lambda ui: build(ui, value))[3]
        return int((np.abs(row.astype(int) - (74, 122, 163)).sum(-1) < 10).sum())

    assert filled(0.0) == 0 and filled(0.25) == pytest.approx(50, abs=4) and filled(1.0) == pytest.approx(199, abs=4)


def test_pictures_keep_their_proportions(draw):
    import omni.ui as ui

    provider = ui.ByteImageProvider()
    provider.set_data_array(np.full((40, 40, 4), 200, np.uint8), [40, 40])
    picture = draw(lambda ui: ui.ImageWithProvider(provider, height=50))
    lit = np.argwhere((picture == 200).all(-1))
    assert np.ptp(lit[:, 1]) == np.ptp(lit[:, 0]) >= 49 and lit[:, 1].mean() == pytest.approx(99.5, abs=1)


def test_what_is_disabled_is_dim(draw):
    def ink(enabled):
        return int(draw(lambda ui: ui.Button("Start", enabled=enabled, height=22))[:22].max())

    assert ink(True) > 180 > 130 > ink(False)
