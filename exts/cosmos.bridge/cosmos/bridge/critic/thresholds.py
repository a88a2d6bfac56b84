"""Every bar of the model-free checks as data: its value, its unit and why it lies there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Optional

from cosmos.bridge.types import Finding, FindingKind, Instance, Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """The bar of one check."""

    value: float
    """The bar itself, in ``unit``."""
    better: Literal["higher", "lower"]
    """Which side of the bar passes; the bar itself passes."""
    best: float
    """What a flawless clip measures, in ``unit``; score 1."""
    unit: str
    """Unit, empty for a ratio."""
    kind: FindingKind
    """Family of the fault."""
    severity: Severity
    """What a clip on the wrong side gets."""
    reason: str
    """Why the bar lies there."""

    def passes(self, value: float) -> bool:
        """Whether a measured value is on the right side; NaN is not."""
        return value >= self.value if self.better == "higher" else value <= self.value

    def quality(self, value: float) -> float:
        """Map a value to [0, 1]: 1 at ``best``, 0.5 at the bar, 0 as far beyond; NaN gives 0.

        Where the bar is the best value itself (a count of 0), one beyond it gives 0.
        """
        span = abs(self.best - self.value) or 0.5
        distance = (self.best - value) if self.better == "higher" else (value - self.best)
        quality = 1.0 - 0.5 * distance / span
        return min(max(quality, 0.0), 1.0) if quality == quality else 0.0

    def finding(
        self, check: str, text: str, value: float, frames: Sequence[int] = (), instance: Optional[Instance] = None
    ) -> Finding:
        """Say that a check missed this bar."""
        return Finding(
            kind=self.kind,
            check=check,
            severity=self.severity,
            text=text,
            frames=tuple(int(frame) for frame in frames),
            instance=None if instance is None else instance.id,
            prim_path="" if instance is None else instance.prim_path,
            value=float(value),
            threshold=self.value,
        )


THRESHOLDS: Mapping[str, Threshold] = {
    "blank_frames": Threshold(
        value=0.0,
        better="lower",
        best=0.0,
        unit="frames",
        kind="artefact",
        severity="reject",
        reason="A black, white or flat frame where the source shows a scene carries no label at all.",
    ),
    "saturated_frames": Threshold(
        value=0.0,
        better="lower",
        best=0.0,
        unit="frames",
        kind="artefact",
        severity="reject",
        reason="A frame in which more than 60 % of the pixels have a channel at its end while the source keeps it "
        "inside has lost what the labels speak of.",
    ),
    "frozen_frames": Threshold(
        value=0.0,
        better="lower",
        best=0.0,
        unit="frames",
        kind="physics",
        severity="reject",
        reason="The picture stands still where the source moves: labels of the next frame no longer fit.",
    ),
    "frame_order": Threshold(
        value=0.0,
        better="lower",
        best=0.0,
        unit="frames",
        kind="physics",
        severity="reject",
        reason="A frame whose moving structure fits another moment of the source better than its own carries the "
        "labels of the wrong moment.",
    ),
    "paper_blur_ssim": Threshold(
        value=0.0,
        better="higher",
        best=1.0,
        unit="",
        kind="artefact",
        severity="warning",
        reason="Blur SSIM as the Transfer papers define it, for comparison, where it is asked for; it refuses nothing.",
    ),
    "paper_edge_f1": Threshold(
        value=0.0,
        better="higher",
        best=1.0,
        unit="",
        kind="artefact",
        severity="warning",
        reason="Edge F1 as the Transfer papers define it, where it is asked for: no tolerance; it refuses nothing.",
    ),
    "label_moment": Threshold(
        value=-0.03,
        better="higher",
        best=0.4,
        unit="",
        kind="label",
        severity="reject",
        reason="How much more the source picture changes where the ids of its own frame end than where those of the "
        "frame before or after do, with two standard errors in favour; below that the labels belong to that one, "
        "and stripes in a hall that hardly moves reach -0.002.",
    ),
    "edges_kept": Threshold(
        value=0.37,
        better="higher",
        best=1.0,
        unit="",
        kind="geometry",
        severity="reject",
        reason="Share of visible boundary pixels with an edge of the right direction within 1 px, in the worst frame; "
        "an unrelated picture of the same kind keeps 0.2 to 0.35 by chance, and fog leaves 0.38.",
    ),
    "edge_f1": Threshold(
        value=0.15,
        better="higher",
        best=1.0,
        unit="",
        kind="geometry",
        severity="warning",
        reason="F1 of Canny edges with 2 px tolerance at equal contrast, for comparison with others; weather rightly "
        "adds and hides edges and noise fits by chance, so it only warns and is left out of the score.",
    ),
    "frame_shift": Threshold(
        value=0.1,
        better="lower",
        best=-0.3,
        unit="",
        kind="geometry",
        severity="reject",
        reason="How much better all outlines of a frame agree with the source's somewhere else than in place, of the "
        "source's own agreement; where nothing moved, they agree far better in place.",
    ),
    "boundary_shift": Threshold(
        value=0.65,
        better="lower",
        best=-0.3,
        unit="",
        kind="geometry",
        severity="reject",
        reason="How much better the outline of one instance agrees with the source's at least 2.3 px away than in "
        "place, of the source's own agreement; crowded outlines and weather reach 0.57 by chance, two of "
        "1,200 good clips exceed the bar, and `instance_placed` weighs what lies below with all other "
        "evidence.",
    ),
    "instance_kept": Threshold(
        value=-2,
        better="higher",
        best=6.0,
        unit="nats",
        kind="label",
        severity="reject",
        reason="Log of the odds that an instance is where its label says, by all that is measured of it: how well "
        "the source explains the result's gradients on it and its differences across its outline, how much of"
        " their strength is left, its outline and its pattern, against what the others in the clip show; "
        "learnt by tools/learn_things.py, which finds that four of 1,200 good clips fall below, judged by "
        "what was learnt on other scenes.",
    ),
    "instance_shown": Threshold(
        value=0.12,
        better="higher",
        best=0.5,
        unit="",
        kind="label",
        severity="reject",
        reason="Contrast that the edges of an instance keep of the source's, over what haze that was asked for leaves "
        "of it at its true depth, of half of that where lamps may make it glow; good clips keep 0.15 and more.",
    ),
    "depth_order": Threshold(
        value=0.62,
        better="lower",
        best=0.0,
        unit="",
        kind="geometry",
        severity="reject",
        reason="How surely a far surface covers the rim of what stands in front of it: the share that the rim has of"
        " its look, times that of one step within the thing in their contrast, times that which the border "
        "lacks; unusual light and snow reach 0.59, two of 1,600 good clips exceed the bar, one where a shadow "
        "begins within a shelf.",
    ),
    "instance_split": Threshold(
        value=5.0,
        better="lower",
        best=-4.0,
        unit="nats",
        kind="label",
        severity="reject",
        reason="Log of the odds that something else shows through the middle of an instance while both of its ends "
        "are seen; the worst of 1,600 good clips reaches 4.9.",
    ),
    "instance_placed": Threshold(
        value=2.0,
        better="lower",
        best=-4.0,
        unit="nats",
        kind="geometry",
        severity="reject",
        reason="Log odds that a thing is displaced, mirrored or of another size, by all that is measured of it; "
        "learnt by tools/learn_things.py, which finds that nine of 1,200 good clips exceed the bar, judged "
        "by what was learnt on other scenes.",
    ),
    "invented": Threshold(
        value=5.5,
        better="lower",
        best=-8.0,
        unit="nats",
        kind="label",
        severity="reject",
        reason="Log odds that a patch of a twentieth of the width shows what the source does not have: colours that no "
        "other light, haze or snow makes of the source's, and edges that neither its picture, depth nor ids have, "
        "against what is usual in that frame, weighed as learnt (tools/learn_evidence.py), in the median frame; "
        "what is red or purple in a lamp's light reaches 5.3, two of 1,600 good clips exceed the bar.",
    ),
    "duplicated": Threshold(
        value=0.5,
        better="lower",
        best=-6.0,
        unit="nats",
        kind="label",
        severity="reject",
        reason="Log odds that a thing is seen a second time, in the clearer half of the frames searched: how much "
        "better its own pixels explain another place than the source does under any light, any change of colour or a "
        "plain surface, whether what the source leaves unexplained ends at its outline, how alike thing and place look "
        "in result and source, their light, contrast, size and shape, weighed as learnt (tools/learn_twins.py); four "
        "of 1,200 good clips exceed it, each judged by what was learnt on other scenes.",
    ),
    "kept_color": Threshold(
        value=5.0,
        better="lower",
        best=0.0,
        unit="a*b*",
        kind="label",
        severity="reject",
        reason="Median distance of the mean colour of what the request keeps as it is from the source's, in CIELAB; "
        "people call colours different from about 2 side by side, and good clips measure 0.",
    ),
    "protected_color": Threshold(
        value=12.0,
        better="lower",
        best=0.0,
        unit="a*b*",
        kind="label",
        severity="reject",
        reason="Median distance of the mean colour of what the options protect by name from what new light may make of "
        "it, in CIELAB; people call colours different from about 2 side by side, and 12 is another paint.",
    ),
    "hallucination": Threshold(
        value=0.682,
        better="higher",
        best=1.0,
        unit="",
        kind="artefact",
        severity="warning",
        reason="Dynamic-pixel hallucination score of cosmos-evaluator with its published bar, for comparison; "
        "falling snow and rain count as invented, so it only warns.",
    ),
    "flicker_level": Threshold(
        value=6.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="flicker",
        severity="reject",
        reason="Median change of colour from frame to frame along true motion, beyond 1.5 times the source's; people "
        "see whole-field flicker from 1 to 2 % (3 to 5 of 255 levels).",
    ),
    "flicker_texture": Threshold(
        value=8.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="flicker",
        severity="reject",
        reason="Median deviation from that change, beyond 1.5 times the source's: texture that boils or swims; the "
        "median leaves flakes and streaks out.",
    ),
    "instance_flicker": Threshold(
        value=12.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="flicker",
        severity="reject",
        reason="The same change of colour in one thing, as far as the frame before or after takes it back, in its "
        "third worst frame, or a quarter of its second: what a flake, a shadow or the light of a lamp passes over "
        "changes in two; good clips reach 8, and 10.5 under a lamp in falling snow.",
    ),
    "instance_texture": Threshold(
        value=48.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="flicker",
        severity="reject",
        reason="The same deviation in one thing, in its third worst frame; the light of a lamp that sweeps over a "
        "glossy thing in a snowy night reaches 41.",
    ),
    "texture_swims": Threshold(
        value=0.55,
        better="lower",
        best=0.0,
        unit="px",
        kind="flicker",
        severity="reject",
        reason="Median slide of one thing's picture from frame to frame, once true motion and the source's own slide"
        " are taken out, times the share of its change that this explains; the worst of 1,200 good clips "
        "reaches 0.49.",
    ),
    "seam_level": Threshold(
        value=10.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="flicker",
        severity="reject",
        reason="A change of colour from one frame to the next that stays, as where two chunks meet, beyond the usual "
        "change of the clip.",
    ),
    "views_agree": Threshold(
        value=25.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="label",
        severity="reject",
        reason="Median difference of surface points seen through two cameras at one moment, beyond the source's own "
        "and a common offset; sheen and fog differ by 10.",
    ),
    "instance_views": Threshold(
        value=45.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="label",
        severity="reject",
        reason="The same difference in one thing: another paint, not another sheen.",
    ),
    "prompt_change": Threshold(
        value=4.0,
        better="higher",
        best=12.0,
        unit="levels",
        kind="prompt",
        severity="reject",
        reason="Mean difference from the source where the prompt asks for another light or weather; noise and a "
        "codec make 2 to 3.",
    ),
    "prompt_night": Threshold(
        value=0.85,
        better="lower",
        best=0.2,
        unit="",
        kind="prompt",
        severity="reject",
        reason="Brightness of the sky against the source's where night was understood (of all, without depth): lamps "
        "may light a room or a street as bright as day, but no sky; good clips reach 0.8.",
    ),
    "prompt_fog": Threshold(
        value=0.9,
        better="lower",
        best=0.3,
        unit="",
        kind="prompt",
        severity="reject",
        reason="Contrast that far surfaces keep over what near ones keep, by true depth, where fog or dust of at "
        "least 0.3 was understood: the far shows less; good clips reach 0.74 where near things lie in shadow, and "
        "one of 1,200 exceeds the bar, through a doorway.",
    ),
    "prompt_snow": Threshold(
        value=1.0,
        better="higher",
        best=1.5,
        unit="",
        kind="prompt",
        severity="warning",
        reason="Whiteness of upward faces over upright ones, against the source; indoors nothing falls, so it only "
        "warns.",
    ),
}
"""Check name -> bar, causes before their consequences: verdicts list them in this order."""


__all__ = ["THRESHOLDS", "Threshold"]
