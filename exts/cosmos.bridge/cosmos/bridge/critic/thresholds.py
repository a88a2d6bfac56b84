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
        value=0.0,
        better="higher",
        best=0.4,
        unit="",
        kind="label",
        severity="reject",
        reason="How much more the source picture changes where the ids of its own frame end than where those of the "
        "frame before or after do, with two standard errors in favour; below 0 the labels belong to that one.",
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
        value=0.38,
        better="lower",
        best=-0.3,
        unit="",
        kind="geometry",
        severity="reject",
        reason="How much better the outline of one instance agrees with the source's at least 2.3 px away than in "
        "place, of the source's own agreement; crowded outlines and weather reach 0.38 by chance.",
    ),
    "instance_kept": Threshold(
        value=-0.6,
        better="higher",
        best=6.0,
        unit="nats",
        kind="label",
        severity="reject",
        reason="Log of the odds that an instance is where its label says, by how well the source's gradients explain "
        "the result's on it, and by its outline, each against those of the others in the clip: fog, snow and night "
        "weaken all of them, only what is gone or stands elsewhere loses its own; one good clip in 240 falls below.",
    ),
    "instance_shown": Threshold(
        value=0.12,
        better="higher",
        best=0.5,
        unit="",
        kind="label",
        severity="reject",
        reason="Contrast that the edges of an instance keep of the source's, over what haze that was asked for leaves "
        "of it at its true depth; good clips keep 0.18 and more.",
    ),
    "depth_order": Threshold(
        value=0.3,
        better="lower",
        best=0.0,
        unit="",
        kind="geometry",
        severity="reject",
        reason="How surely a far surface covers the rim of what stands in front of it: the share that the rim has of "
        "its look, times that of one step within the thing in their contrast, times that which the border lacks; "
        "unusual light and snow reach 0.24.",
    ),
    "instance_split": Threshold(
        value=3.0,
        better="lower",
        best=-4.0,
        unit="nats",
        kind="label",
        severity="reject",
        reason="Log of the odds that something else shows through the middle of an instance while both of its ends are "
        "seen; one good clip in 240 exceeds 2.4.",
    ),
    "instance_placed": Threshold(
        value=3.0,
        better="lower",
        best=-4.0,
        unit="nats",
        kind="geometry",
        severity="reject",
        reason="Log odds that a thing is displaced, mirrored or of another size, by its outline and its pattern "
        "together (`critic/evidence.py` has the weights); good clips reach 2.6 once in a hundred.",
    ),
    "invented": Threshold(
        value=0.5,
        better="lower",
        best=-8.0,
        unit="nats",
        kind="label",
        severity="reject",
        reason="Log odds that a patch of a twentieth of the width shows what the source does not have: colours that no "
        "other light, haze or snow makes of the source's, and edges that neither its picture, depth nor ids have, "
        "against what is usual in that frame, weighed as learnt (tools/learn_evidence.py), in the median frame; good "
        "clips reach -0.35.",
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
        "plain surface, how much of that place's rim is new, its size and light, weighed as learnt "
        "(tools/learn_evidence.py); good clips reach 0.4.",
    ),
    "protected_color": Threshold(
        value=12.0,
        better="lower",
        best=0.0,
        unit="a*b*",
        kind="label",
        severity="reject",
        reason="Median distance of the mean colour of what must keep its colour from what it may have, in CIELAB; "
        "people call colours different from about 2 side by side, and 12 is another "
        "paint.",
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
        value=14.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="flicker",
        severity="reject",
        reason="The same change of colour in one thing, as far as the frame before or after takes it back, in its "
        "second worst frame; good clips reach 10.",
    ),
    "instance_texture": Threshold(
        value=12.0,
        better="lower",
        best=0.0,
        unit="levels",
        kind="flicker",
        severity="reject",
        reason="The same deviation in one thing, in its second worst frame.",
    ),
    "texture_swims": Threshold(
        value=0.25,
        better="lower",
        best=0.0,
        unit="px",
        kind="flicker",
        severity="reject",
        reason="Median slide of one thing's picture from frame to frame, once true motion and the source's own slide "
        "are taken out, times the share of its change that this explains; good clips reach 0.2.",
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
        value=0.8,
        better="lower",
        best=0.2,
        unit="",
        kind="prompt",
        severity="reject",
        reason="Brightness of the sky against the source's where night was understood (of all, without depth): lamps "
        "may light a room or a street as bright as day, but no sky; good clips reach 0.7.",
    ),
    "prompt_fog": Threshold(
        value=0.85,
        better="lower",
        best=0.3,
        unit="",
        kind="prompt",
        severity="reject",
        reason="Contrast that far surfaces keep over what near ones keep, by true depth, where fog or dust of at "
        "least 0.3 was understood.",
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How the checks measure; what lies outside is not judged, and is said to be so."""

    chunk: int = 8
    """Frames held in memory at a time."""
    search_radius: int = 6
    """Largest shift looked for [px]; farther away chance finds a fit more often than the truth does."""
    visible_gradient: float = 4.0
    """A boundary pixel counts where the source changes by at least this much there, and a boundary is missed where at
    least this much was to be expected [levels/px]."""
    noise_gradient: float = 2.0
    """Gradients well below this are noise [levels/px]."""
    faint_gradient: float = 1.0
    """Faintest edge of which an outline may consist [levels/px]."""
    full_gradient: float = 6.0
    """From here on edges count alike, however strong [levels/px]."""
    dark_level: float = 24.0
    """Where the result is darker all around, a missing edge proves nothing [levels]."""
    white_level: float = 250.0
    """Where the result is brighter all around, it is overexposed and a missing edge proves nothing [levels]."""
    min_sites: int = 25
    """Fewest visible boundary pixels of an instance that are judged [px]."""
    max_sites: int = 300
    """Boundary pixels of an instance and frame that are looked at [px]; more are thinned evenly."""
    frame_sites: int = 8000
    """Boundary pixels of a frame that are looked at, about [px]."""
    min_area: int = 120
    """Fewest pixels of a thing that is judged by its outline [px]."""
    min_share: float = 0.001
    """Smallest share of the picture of a thing that is judged by its outline."""
    min_piece: float = 0.75
    """Share of a thing that one piece must hold; what is seen in scraps has the outlines of what stands before it."""
    one_piece: float = 0.82
    """The same where colours are looked at, on average over the clip."""
    max_share: float = 0.2
    """Share of the picture from which on a thing is the scene itself: it cannot be gone, and fog may hide it while
    others show."""
    min_shown: float = 0.55
    """Share of a boundary around which the result must show any structure; fog rightly hides the rest, unless ..."""
    clear_shown: float = 0.9
    """... at least this share shows of something that is farther away."""
    min_roundness: float = 0.1
    """Boundaries straighter than this tell no displacement along themselves; 0 is a line, 0.5 a circle."""
    few_sites: int = 8
    """Fewest visible boundary pixels of an instance that say something beside its colours [px]."""
    min_sight: int = 60
    """Fewest pixels of an instance that must speak by their colours [px]."""
    min_cut: int = 20
    """Fewest pixels of a band that must speak before it can be missing, 0.6 times as many of each end [px]."""
    max_snowed: float = 0.8
    """Share of an instance under the snow that was asked for, from which on its absence proves nothing."""
    clear_evidence: float = 2.0
    """Evidence from which on an instance clearly shows, and tells what haze leaves of the others [nats]."""
    part_evidence: float = 1.0
    """What the evidence is raised by where some frames alone speak against an instance [nats]."""
    min_others: float = 0.4
    """Where even the others agree less with the source, a thing that does not proves nothing."""
    min_distinct: float = 0.3
    """Share of the source's own score that its place must explain; crowded outlines agree with anything."""
    chance_shift: float = 4.0
    """So far away from its place an outline agrees by chance alone [px]; that is subtracted."""
    instance_away: float = 2.3
    """Shortest displacement of an instance that is looked for [px]."""
    frame_away: float = 1.5
    """Shortest displacement of a whole frame that is looked for [px]; 1 px is within what filtering and codecs do."""
    shift_repeats: float = 0.5
    """Where the source's own outline agrees with itself by more than this, a shift proves nothing."""
    shift_agreement: float = 1.5
    """Displacements in different frames are of one fault if they differ by no more than this [px]."""
    run_share: float = 0.125
    """Share of its frames, one after the other, in which an instance must be displaced, and two at least."""
    gone_share: float = 0.5
    """Share of its frames in which an instance must be gone, if the clip as a whole does not show it."""
    part_margin: float = 0.1
    """What the bar is raised by where some frames alone show a fault, for they are the worst of several; twice that
    where they are less than half."""
    patch_width: float = 0.06
    """Width of a patch in which invented edges are summed, as share of the picture's."""
    invention_width: int = 128
    """Width at which unexplained colours are measured [px], about."""
    twin_step: int = 4
    """One frame in so many is searched for twins, and compared with the patterns of its source."""
    pattern_sites: int = 300
    """Pixels of a thing that are looked at where its pattern is compared, about [px]; a third where there are many."""
    twin_width: int = 256
    """Width at which twins are measured [px], about; the whole picture is searched at half of it."""
    twin_level: float = 12.0
    """Where a thing is darker than that it is not looked for: black lies anywhere [levels]."""
    min_color_samples: int = 20
    """Fewest pixels of a thing whose colour is judged."""
    fog_depth: float = 8.0
    """How far away what is far must be at least before fog is looked for there [m]; a room is too small for it."""
    border_step: int = 2
    """One frame in so many is looked at for what covers the rims of near things."""
    prompt_samples: int = 20_000
    """Pixels of a frame that the prompt is checked on, about."""
    min_rim: int = 200
    """Fewest pixels in which outlines of neighbouring frames must differ before their moment can be told."""
    view_frames: int = 4
    """Moments of a clip that are held against other cameras, about."""
    min_shared: int = 120
    """Fewest surface points that two cameras must share; of one thing, a quarter of that."""
    flicker_samples: int = 60_000
    """Pixels of a frame that flicker is measured on, about."""
    flicker_motion: float = 0.125
    """Share of the picture's width beyond which a surface, 5 to 10 degrees further, need not look the same."""
    min_flicker_samples: int = 100
    """Fewest of them in an instance that is judged."""
    min_texture_samples: int = 800
    """Fewest of them for texture: streaks and flakes cover a small instance for a moment."""
    slide_width: int = 256
    """Width at which textures are followed [px], about; slides are told in its pixels."""
    slide_window: int = 8
    """Pairs of frames in which a texture is followed at a time."""
    min_slide_samples: int = 75
    """Fewest pixels of a thing, off its outline and in every other line, whose texture is followed."""
    min_slide_texture: float = 0.15
    """Least mean square of a thing's gradients, along the axis along which it is plainest [levels^2/px^2]."""
    source_slide: float = 0.5
    """Where the source itself slides by more along true motion, as a sky does, nothing is proven [px]."""
    source_flicker: float = 1.5
    """So many times the source's own residual is allowed before anything counts as flicker."""
    min_moving: float = 0.002
    """Smallest share of the picture that must move in the source before standing still proves something."""
    order_window: int = 96
    """Frames among which the best match of a frame is looked for."""
    order_width: int = 160
    """Width at which frames are matched [px], about."""
    order_margin: float = 0.35
    """Another frame must fit better by this share of the difference that the source itself shows between the two."""
    order_distinct: float = 0.02
    """Frames of the source that correlate more than 1 minus this cannot be told apart, and need not be."""
    order_tolerance: float = 1.0
    """A frame that its own moment explains as well when displaced by so much is not misplaced in time [px]."""
    order_evidence: float = 0.12
    """Weakest correlation of moving structure that still proves something."""
    max_findings: int = 24
    """Most findings in a verdict; the rest is counted in one."""


__all__ = ["THRESHOLDS", "Limits", "Threshold"]
