"""The backend that is always there: a small net of our own, on any CPU or CUDA device."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

import numpy as np

from cosmos.bridge.errors import ModelError, ModelMemoryError, ModelWeightsError
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.footprint import peak_bytes, settings_of, versions
from cosmos.bridge.transfer.light import ground_height, light_inputs, wear_seed
from cosmos.bridge.types import Clip, ControlKind, Pinhole, Progress, Provenance, TransferRequest, TransferResult

if TYPE_CHECKING:
    import warp as wp

    from cosmos.models.embedded.conditions import Conditions
    from cosmos.models.embedded.sampling import EmbeddedModel, PaintInputs
    from cosmos.models.embedded.text import Reading

_WEIGHTS = "transfer-small"
_PIXELS_AT_ONCE = 1 << 19
_MOST_GUIDANCE = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedOptions:
    """What one run may set besides its requests; ``transfer_options`` in a config."""

    weights: Optional[str] = None
    """Folder of other weights of the same kind, such as ``cosmos-bridge models finetune`` writes; ``None`` takes the
    shipped ones."""


class EmbeddedTransfer:
    """A one-step net: controls, light hints and a prompt in, a picture a frame out.

    Args:
        options: What a run may set, or the folder of other weights alone; ``None`` takes the shipped ones.
    """

    Options: ClassVar[type[EmbeddedOptions]] = EmbeddedOptions

    def __init__(self, options: Union[EmbeddedOptions, Path, None] = None) -> None:
        given = options.weights if isinstance(options, EmbeddedOptions) else options
        self._given = None if given is None else Path(given)
        self._model: Optional[EmbeddedModel] = None
        self._device = ""
        self._spec: Optional[TransferSpec] = None

    @property
    def spec(self) -> TransferSpec:
        """What the model is and can do.

        Raises:
            ModelWeightsError: If the weights are missing.
        """
        if self._spec is None:
            config = self._config()
            self._spec = TransferSpec(
                name="embedded",
                revision=str(config["revision"]),
                licence=str(config["licence"]),
                controls=self._controls(config),
                size_multiple=1,
                num_steps=1,
                max_steps=1,
                weight_maps=True,
                negative_prompt=True,
                guidance=True,
                most_guidance=_MOST_GUIDANCE,
            )
        return self._spec

    def load(self, device: Optional[str] = None) -> None:
        """Bring the weights onto a device; ``None`` picks CUDA where there is one. A second call does nothing.

        Raises:
            ModelWeightsError: If the weights are missing or damaged.
            ModelError: If there is no such device.
        """
        import torch

        from cosmos.models.embedded.sampling import load_embedded
        from cosmos.models.weights import WeightsError

        wanted = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        if self._model is not None and wanted == self._device:
            return
        if wanted.startswith("cuda") and not torch.cuda.is_available():
            raise ModelError(f"embedded was asked to run on {wanted!r}, but torch sees no CUDA device; use 'cpu'.")
        try:
            self._model = load_embedded(self._folder(), wanted)
        except WeightsError as error:
            raise ModelWeightsError(str(error)) from error
        except RuntimeError as error:
            raise ModelError(f"embedded cannot run on {wanted!r}: {error}.") from error
        self._device = wanted

    def transfer(self, request: TransferRequest, progress: Optional[Progress] = None) -> TransferResult:
        """Make the request's clip photoreal, frame for frame.

        Raises:
            ModelError: If the request asks for what this model cannot do; the sentence names the option.
            ModelMemoryError: If a frame does not fit the device.
        """
        import warp as wp

        guidance = _check(request, self.spec)
        self.load(self._device or None)
        model = self._model
        if model is None:  # load returns with a model or raises
            raise ModelError("embedded has no weights loaded; call load().")
        start = time.perf_counter()
        prompt, negative, seed = request.prompt, request.negative_prompt, request.seed
        reading = model.reader.read(prompt, negative=negative, guidance=guidance, seed=seed)
        asked = model.reader.read(prompt, negative=negative, guidance=1.0, seed=seed)
        clip = request.clip
        sky = _sky_share(clip)
        used = _UsedWeights()
        rgb = wp.empty_like(clip.rgb)
        ground = ground_height(clip)
        batch = max(1, _PIXELS_AT_ONCE // (clip.height * clip.width))
        try:
            for first in range(0, clip.num_frames, batch):
                frames = range(first, min(first + batch, clip.num_frames))
                weights = _capped_weights(request, frames)
                used.add(weights)
                inputs = self._inputs(request, weights, reading.conditions, frames, ground)
                self._paint(model, request, inputs, reading.conditions, weights, sky, frames, rgb)
                if progress is not None:
                    progress("transfer", frames.stop, clip.num_frames)
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
                raise
            raise ModelMemoryError(
                f"A frame of {clip.height} x {clip.width} does not fit {self._device}: {error}; ask for a smaller size."
            ) from error
        provenance = Provenance(
            model="embedded",
            revision=self.spec.revision,
            weights_sha256=model.sha256,
            licence=self.spec.licence,
            dtype="float32",
            device=self._device,
            seconds=time.perf_counter() - start,
            peak_bytes=peak_bytes(self._device),
            requested=settings_of(request),
            effective=self._effective(request, reading, asked, guidance, used),
            versions=versions("torch", "warp", "safetensors"),
            notes=_notes(request, reading, used, sky),
        )
        return TransferResult(rgb=rgb, provenance=provenance)

    def unload(self) -> None:
        """Free the weights; safe to call twice."""
        was_cuda, self._model, self._device = self._device.startswith("cuda"), None, ""
        if was_cuda:
            import torch

            torch.cuda.empty_cache()

    def _folder(self) -> Path:
        from cosmos.models.weights import find_weights

        return self._given or find_weights(_WEIGHTS)

    def _config(self) -> dict[str, Any]:
        from cosmos.models.weights import WeightsError, read_weights_config

        if self._given is not None and not (self._given / "config.json").is_file():
            raise ModelWeightsError(
                f"There are no weights in {self._given} (config.json is missing); name the folder that cosmos-bridge "
                "models finetune or train-branch wrote, or leave it out."
            )
        try:
            config = read_weights_config(self._folder())
        except WeightsError as error:
            raise ModelWeightsError(str(error)) from error
        missing = [key for key in ("revision", "licence") if key not in config]
        if missing:
            raise ModelWeightsError(f"The configuration of {_WEIGHTS} lacks {missing}; export the weights again.")
        return config

    def _controls(self, config: dict[str, Any]) -> tuple[ControlKind, ...]:
        """Return the kinds that the weights have a branch for."""
        try:
            return tuple(ControlKind(kind) for kind in config["net"]["controls"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelWeightsError(
                f"The configuration in {self._folder()} does not tell which controls its net knows ({error!r}); "
                "export the weights again."
            ) from error

    def _inputs(
        self,
        request: TransferRequest,
        weights: dict[ControlKind, wp.array],
        conditions: Conditions,
        frames: range,
        ground: float,
    ) -> PaintInputs:
        """Bring some frames to the net's tensors, on its device."""
        import torch
        import warp as wp

        from cosmos.models.embedded.sampling import PaintInputs

        part, clip = slice(frames.start, frames.stop), request.clip
        hints, maps = light_inputs(clip, frames, conditions=conditions, ground=ground, seed=request.seed)

        def to_device(pictures: torch.Tensor) -> torch.Tensor:
            return pictures.to(self._device).permute(3, 0, 1, 2)[None]

        return PaintInputs(
            rgb=to_device(wp.to_torch(clip.rgb[part])),
            controls={kind.value: to_device(wp.to_torch(request.controls[kind].video[part])) for kind in weights},
            weights={kind.value: wp.to_torch(weight).to(self._device)[None, None] for kind, weight in weights.items()},
            hints=None if hints is None else to_device(hints),
            maps=None if maps is None else to_device(maps),
        )

    def _paint(
        self,
        model: EmbeddedModel,
        request: TransferRequest,
        inputs: PaintInputs,
        conditions: Conditions,
        weights: dict[ControlKind, wp.array],
        sky: float,
        frames: range,
        rgb: wp.array,
    ) -> None:
        """Paint some frames into ``rgb``."""
        import warp as wp

        from cosmos.bridge.kernels.finish import finish_pictures
        from cosmos.bridge.kernels.layout import tensor_to_video

        clip, part = request.clip, slice(frames.start, frames.stop)
        painted = model.paint(inputs, conditions)
        pictures = tensor_to_video(painted.to(wp.device_to_torch(rgb.device)))
        finish_pictures(
            pictures,
            source=clip.rgb[part],
            finish=_finish(conditions, sky, request.seed),
            times=np.arange(frames.start, frames.stop) / clip.fps,
            first_frame=frames.start,
            depth=None if clip.depth is None else clip.depth[part],
            kept=_kept(weights),
        )
        wp.copy(rgb[part], pictures)

    def _effective(
        self, request: TransferRequest, reading: Reading, asked: Reading, guidance: float, used: _UsedWeights
    ) -> dict[str, Any]:
        """Return the settings as used."""
        from cosmos.models.embedded.sampling import coarse_for

        clip = request.clip
        return {
            "num_steps": 1,
            "guidance": guidance,
            "seed": request.seed,
            "size": [clip.height, clip.width],
            "trunk_ratio": coarse_for(clip.height, clip.width),
            "weights": used.means(),
            "light": "picture" if clip.probe is None else "stage",
            "conditions": {name: round(value, 4) for name, value in asdict(reading.conditions).items()},
            "asked": {name: round(value, 4) for name, value in asdict(asked.conditions).items()},
        }


def check_lens(clip: Clip) -> None:
    """Refuse a clip whose light the model cannot be told.

    Raises:
        ModelError: If a camera is no pinhole.
    """
    bent = next((camera for camera in clip.cameras if not isinstance(camera.lens, Pinhole)), None)
    if bent is not None:
        raise ModelError(
            f"embedded knows light through pinhole cameras only, but {bent.prim_path} has the lens {bent.lens.name}; "
            "take a pinhole camera or another --transfer."
        )


def _check(request: TransferRequest, spec: TransferSpec) -> float:
    """Refuse what the model cannot do; return the guidance."""
    from cosmos.bridge.transfer.registry import able

    check_lens(request.clip)
    if request.preserve is not None:
        raise ModelError("embedded cannot preserve parts of the source; cosmos-transfer2.5 can, or give them vis=1.")
    if request.overlap is not None:
        others = " or ".join(able("overlap"))
        raise ModelError(
            f"embedded paints frame by frame, without chunks, got overlap={request.overlap}; {others} can overlap them."
        )
    if request.num_steps not in (None, 1):
        others = " or ".join(able("num_steps"))
        raise ModelError(f"embedded paints in 1 step, got num_steps={request.num_steps}; {others} can take others.")
    foreign = [kind.value for kind in request.weights.kinds if kind not in spec.controls]
    if foreign:
        known = ", ".join(kind.value for kind in spec.controls)
        raise ModelError(
            f"embedded does not know the control {' and '.join(foreign)}; these weights know {known}, and "
            "cosmos-bridge models train-branch adds one."
        )
    if not request.weights.kinds:
        raise ModelError("embedded needs a control, but all weights are 0; give one, for example depth=1.")
    guidance = 1.0 if request.guidance is None else float(request.guidance)
    if not 0.0 <= guidance <= _MOST_GUIDANCE:
        raise ModelError(f"embedded takes a guidance in [0, {_MOST_GUIDANCE:g}], got {guidance:g}; 1 is as prompted.")
    return guidance


class _UsedWeights:
    """Means and least values of the capped weights, over frames that come in parts."""

    def __init__(self) -> None:
        self._sums: dict[ControlKind, float] = {}
        self._sites = 0
        self.least: dict[ControlKind, float] = {}
        """Least value of each kind."""

    def add(self, weights: dict[ControlKind, wp.array]) -> None:
        """Count the maps of some frames."""
        for kind, weight in weights.items():
            values = weight.numpy()
            self._sums[kind] = self._sums.get(kind, 0.0) + float(values.sum(dtype=np.float64))
            self.least[kind] = min(self.least.get(kind, 1.0), float(values.min()))
        self._sites += next(iter(weights.values())).size

    def means(self) -> dict[str, float]:
        """Return the mean of each kind."""
        return {kind.value: round(total / self._sites, 4) for kind, total in self._sums.items()}


def _capped_weights(request: TransferRequest, frames: range) -> dict[ControlKind, wp.array]:
    """Expand the weights of some frames to maps whose sum is at most 1 at every site."""
    import warp as wp

    from cosmos.bridge.kernels.weights import cap_stack

    clip, kinds = request.clip, request.weights.kinds
    whole, shape = (clip.num_frames, clip.height, clip.width), (len(frames), clip.height, clip.width)
    stack = wp.empty((len(kinds), *shape), dtype=wp.float32, device=clip.rgb.device)
    for slot, kind in enumerate(kinds):
        weight = request.weights[kind]
        if isinstance(weight, (int, float)):
            stack[slot].fill_(float(weight))
        elif tuple(weight.shape) != whole:
            raise ModelError(f"The weight map of {kind} is {list(weight.shape)} [T, H, W], the clip {list(whole)}.")
        else:
            wp.copy(stack[slot], weight[frames.start : frames.stop])
    cap_stack(stack)
    return {kind: stack[slot] for slot, kind in enumerate(kinds)}


def _sky_share(clip: Clip) -> float:
    """Return the largest share of a frame that met nothing, over some frames; 1 for a clip without depth."""
    if clip.depth is None:
        return 1.0
    step = max(1, clip.num_frames // 6)
    shares = []
    for frame in range(0, clip.num_frames, step):
        depth = clip.depth[frame].numpy()
        shares.append(1.0 - float((np.isfinite(depth) & (depth > 0.0)).mean()))
    return max(shares)


def _kept(weights: dict[ControlKind, wp.array]) -> Optional[wp.array]:
    """Return how much of the source stays: nothing up to a vis weight of 0.6, all at 1."""
    import warp as wp

    if ControlKind.VIS not in weights:
        return None
    weight = weights[ControlKind.VIS].numpy()
    if float(weight.max()) <= 0.6:
        return None
    ramp = np.clip((weight - 0.6) / 0.4, 0.0, 1.0)
    return wp.array(ramp * ramp * (3.0 - 2.0 * ramp), dtype=wp.float32, device=weights[ControlKind.VIS].device)


def _finish(conditions: Conditions, sky: float, seed: int) -> Any:
    """Return what the last pass adds; nothing falls where no sky is seen."""
    from cosmos.bridge.kernels.finish import Finish

    outdoors = float(np.clip(sky / 0.02, 0.0, 1.0))
    day = float(np.clip((conditions.sun_elevation + 10.0) / 18.0, 0.0, 1.0))
    return Finish(
        snow=conditions.snow * outdoors,
        rain=conditions.rain * outdoors,
        light=0.35 + 0.57 * day,
        noise=conditions.noise,
        vignette=conditions.vignette,
        seed=wear_seed(seed) ^ 0x5EED,
    )


def reading_notes(reading: Reading) -> list[str]:
    """Say what of a prompt was not understood, corrected, or not read."""
    notes = []
    if reading.unknown:
        notes.append(f"Not understood: {', '.join(repr(word) for word in reading.unknown)}.")
    if reading.corrected:
        notes.append(f"Read as: {', '.join(f'{wrong!r} as {right!r}' for wrong, right in reading.corrected)}.")
    if reading.cut:
        notes.append(f"The last {reading.cut} words of the prompt were not read.")
    return notes


def _notes(request: TransferRequest, reading: Reading, used: _UsedWeights, sky: float) -> tuple[str, ...]:
    """Say what the user should know."""
    notes = reading_notes(reading)
    if request.clip.depth is None:
        notes.append("The clip has no depth: fog by distance, shadows, snow cover and puddles could not be placed.")
    elif ControlKind.DEPTH not in used.least:
        notes.append("The depth has no weight: fog by distance, shadows, snow cover and puddles could not be placed.")
    falls = max(reading.conditions.snow, reading.conditions.rain) > 0.0
    if falls and sky == 0.0:
        notes.append("No sky is seen, so no flakes or drops were drawn.")
    if used.least.get(ControlKind.VIS, 0.0) > 0.95:
        notes.append("A vis weight of 1 everywhere keeps the appearance; the prompt has little or no effect.")
    return tuple(notes)


__all__ = ["EmbeddedOptions", "EmbeddedTransfer", "check_lens", "reading_notes"]
