"""How the model-free checks measure, as data: sizes, windows and where nothing is judged."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


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
    min_sight: int = 30
    """Fewest pixels of an instance that must speak by their colours, those across its outline included [px]."""
    some_piece: float = 0.5
    """Share of an instance that one piece must hold where patterns are compared as well as colours."""
    min_cut: int = 20
    """Fewest pixels of a band that must speak before it can be missing, 0.6 times as many of each end [px]."""
    max_snowed: float = 0.8
    """Share of an instance under the snow that was asked for, from which on its absence proves nothing."""
    clear_evidence: float = 2.0
    """Evidence from which on an instance clearly shows, and tells what haze leaves of the others [nats]."""
    shown_gradient: float = 2.0
    """Where haze that was not asked for leaves fainter gradients, absence proves nothing [levels/px]."""
    part_evidence: float = 1.0
    """What the evidence is raised by where some frames alone speak against an instance [nats]."""
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
    edge_width: int = 256
    """Width at which edges are compared and unexplained ones measured [px], about."""
    usual_width: int = 256
    """Width of the pictures on which bars were chosen [px]: where they are wider, pieces of things are counted and
    patterns compared at about that width, and fewer rows tell what haze hides."""
    edge_step: int = 4
    """One frame in so many has its edges compared; they are told on average over the clip."""
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
    prompt_samples: int = 10_000
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
    min_slide_shown: float = 0.17
    """Least share of the source's that this is: through dense haze what moves before a thing shows more than it."""
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

    def __post_init__(self) -> None:
        for item in fields(self):
            value, least = getattr(self, item.name), 1 if isinstance(item.default, int) else 0
            if not least <= value < math.inf:
                raise ValueError(f"Limits.{item.name} must be finite and {least} or more, got {value!r}.")


__all__ = ["Limits"]
