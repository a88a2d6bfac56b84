"""The embedded model's nets: those that paint at once, and the one that paints in steps, loaded when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.errors import ModelError, ModelWeightsError
from cosmos.bridge.types import ControlKind

if TYPE_CHECKING:
    from cosmos.models.embedded.sampling import EmbeddedModel

_AT_ONCE, _IN_STEPS, _DISTILLED = "transfer-small", "transfer-small-steps", "transfer-small-distilled"


class Nets:
    """The weights that a request's number of steps asks for.

    Args:
        given: Folder of other weights, which then paint at any number of steps that they take; ``None`` takes the
            shipped ones, of which one paints in 1 step and another in more.
        dtype: Of the features, a name of torch's; ``None`` lets the processor decide.
        distilled: Whether the teacher's student paints in 1 step, not the net that was trained to.
    """

    def __init__(self, given: Optional[Path], dtype: Optional[str], *, distilled: bool = False) -> None:
        self._given, self._dtype, self._once = given, dtype, _DISTILLED if distilled else _AT_ONCE
        self._loaded: dict[Path, EmbeddedModel] = {}
        self._configs: dict[Path, dict[str, Any]] = {}
        self.device = ""
        """Where the nets are; empty before the first is loaded."""

    def config(self, steps: int = 1) -> dict[str, Any]:
        """Return the configuration of the weights for a number of steps.

        Raises:
            ModelWeightsError: If it is missing or lacks something.
        """
        from cosmos.models.weights import WeightsError, read_weights_config

        folder = self._folder(steps)
        if folder in self._configs:
            return self._configs[folder]
        if self._given is not None and not (self._given / "config.json").is_file():
            raise ModelWeightsError(
                f"There are no weights in {self._given} (config.json is missing); name the folder that cosmos-bridge "
                "models finetune or train-branch wrote, or leave it out."
            )
        try:
            config = read_weights_config(folder)
        except WeightsError as error:
            raise ModelWeightsError(str(error)) from error
        missing = [key for key in ("revision", "licence") if key not in config]
        if missing:
            raise ModelWeightsError(f"The configuration in {folder} lacks {missing}; export the weights again.")
        self._configs[folder] = config
        return config

    def controls(self) -> tuple[ControlKind, ...]:
        """Return the kinds that the weights have a branch for.

        Raises:
            ModelWeightsError: If the configuration does not tell.
        """
        try:
            return tuple(ControlKind(kind) for kind in self.config()["net"]["controls"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelWeightsError(
                f"The configuration in {self._folder(1)} does not tell which controls its net knows ({error!r}); "
                "export the weights again."
            ) from error

    def most_steps(self) -> int:
        """Return the most steps that there are weights for.

        Raises:
            ModelWeightsError: If the configuration says what is no number of steps.
        """
        most = self.config(2).get("max_steps", 1)
        if not isinstance(most, int) or most < 1:
            raise ModelWeightsError(
                f"The configuration in {self._folder(2)} says max_steps {most!r}, which is no number of steps; export "
                "the weights again."
            )
        return most

    def load(self, device: Optional[str], steps: int = 1) -> EmbeddedModel:
        """Return the net for a number of steps, on a device; ``None`` picks CUDA where there is one.

        Raises:
            ModelWeightsError: If the weights are missing or damaged.
            ModelError: If there is no such device.
        """
        import torch

        from cosmos.models.embedded.sampling import load_embedded
        from cosmos.models.weights import WeightsError

        wanted, folder = device or ("cuda:0" if torch.cuda.is_available() else "cpu"), self._folder(steps)
        if wanted == self.device and folder in self._loaded:
            return self._loaded[folder]
        if wanted.startswith("cuda") and not torch.cuda.is_available():
            raise ModelError(f"embedded was asked to run on {wanted!r}, but torch sees no CUDA device; use 'cpu'.")
        if wanted.startswith("cuda") and self._dtype == "bfloat16":
            raise ModelError('embedded computes in float32 on CUDA, got dtype="bfloat16"; leave dtype out.')
        try:
            model = load_embedded(folder, wanted, None if self._dtype is None else getattr(torch, self._dtype))
        except WeightsError as error:
            raise ModelWeightsError(str(error)) from error
        except RuntimeError as error:
            raise ModelError(f"embedded cannot run on {wanted!r}: {error}.") from error
        if wanted != self.device:
            self.unload()
        self.device, self._loaded[folder] = wanted, model
        return model

    def unload(self) -> None:
        """Free the weights; safe to call twice."""
        was_cuda, self.device = self.device.startswith("cuda"), ""
        self._loaded.clear()
        if was_cuda:
            import torch

            torch.cuda.empty_cache()

    def _folder(self, steps: int) -> Path:
        from cosmos.models.weights import WeightsError, find_weights

        try:
            return self._given or find_weights(self._once if steps == 1 else _IN_STEPS)
        except WeightsError as error:
            raise ModelWeightsError(str(error)) from error


__all__ = ["Nets"]
