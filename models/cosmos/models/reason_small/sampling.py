"""Asking the embedded reasoner: windows of a clip in, thoughts and answers out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253
from safetensors.torch import load_file
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.reason_small.net import ReasonNet, ReasonNetConfig, Seen, question_tokens
from cosmos.models.reason_small.training import to_input
from cosmos.models.reason_small.words import (
    EVENTS,
    READINGS,
    TOKEN,
    VOCABULARY,
    Answer,
    parse,
    text_of,
)
from cosmos.models.spec import from_mapping
from cosmos.models.weights import WeightsError, check_files, read_weights_config

SPACING = 0.1
"""Time between two pictures of a window, as in training [s]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Eight pictures of a clip that are looked at together."""

    frames: tuple[int, ...]
    """Their numbers in the clip."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What the net wrote about a window."""

    words: tuple[str, ...]
    """As it wrote them."""
    answer: Answer
    """As they are read."""
    doubt: float
    """Probability, in [0, 1], that something impossible is seen; by the trunk, before any word."""

    @property
    def raw(self) -> str:
        """The words as one text."""
        return " ".join(self.words)


class SmallReasoner:
    """A loaded net.

    Args:
        net: The net, in evaluation mode.
        config: Its ``config.json``: threshold, what it claims to know.
        sha256: Hash of its weights.
    """

    def __init__(self, net: ReasonNet, config: Mapping[str, Any], sha256: str) -> None:
        self.net, self.config, self.sha256 = net, config, sha256

    @property
    def threshold(self) -> float:
        """Doubt from which an answer *impossible* counts."""
        return float(self.config["threshold"])

    @property
    def claims(self) -> tuple[str, ...]:
        """Events and tasks that the evaluation found above chance; the net is asked for no others."""
        return tuple(self.config["claims"])

    def windows(self, num_frames: int, fps: float, most: int) -> list[Window]:
        """Return what is looked at: windows of pictures 0.1 s apart, half overlapping, spread over the clip.

        A clip that is shorter than a window is looked at from its first to its last frame; one of fewer frames than a
        window repeats its last.
        """
        count = self.net.config.frames
        step = max(1, round(SPACING * fps))
        if num_frames < (count - 1) * step + 1:
            spread = np.linspace(0, num_frames - 1, count) if num_frames >= count else np.arange(count)
            return [Window(frames=tuple(int(min(frame, num_frames - 1)) for frame in spread.round()))]
        span = (count - 1) * step
        wanted = max(1, min(most, (num_frames - 1 - span) // (span // 2 + 1) + 2))
        starts = sorted({int(start) for start in np.linspace(0, num_frames - 1 - span, wanted).round()})
        return [Window(frames=tuple(start + step * index for index in range(count))) for start in starts]

    def shrink(self, frames: np.ndarray) -> Tensor:
        """Bring pictures, uint8 [T, H, W, 3], to the size of the net: uint8 [1, T, 3, h, w]."""
        size = (self.net.config.height, self.net.config.width)
        pictures = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2)
        if tuple(pictures.shape[2:]) != size:
            large = pictures.float()
            fewer = large.shape[2] >= size[0] and large.shape[3] >= size[1]
            mode = {"mode": "area"} if fewer else {"mode": "bilinear", "align_corners": False}
            pictures = functional.interpolate(large, size=size, **mode).round().clamp(0, 255).to(torch.uint8)
        return pictures[None]

    def ask(self, clips: Tensor, task: str, bar: float | None = None) -> list[Said]:
        """Let the net write about clips.

        Args:
            clips: uint8, shape [B, T, 3, h, w].
            task: One of ``QUESTIONS``.
            bar: Doubt from which ``physics`` is answered *impossible*; ``None`` takes the threshold.

        Raises:
            AnswerError: If what it wrote about one of them is no answer; the message holds it.
        """
        texts, doubts = self.write(clips, task, bar)
        return [
            Said(words=tuple(words), answer=parse(task, words), doubt=doubt)
            for words, doubt in zip(texts, doubts, strict=True)
        ]

    @torch.inference_mode()
    def write(self, clips: Tensor, task: str, bar: float | None = None) -> tuple[list[list[str]], list[float]]:
        """Return what the net writes about clips, unread, and its doubt in each.

        The words that decide are readings of the trunk, put into the thought, which the answer follows: whether it is
        possible, what, which thing, where and when; the way of time, the order, the weather, and what moves how. What
        else is in the scene is written freely, each word the likeliest.
        """
        seen = self.net.see(to_input(clips))
        doubts = [float(value) for value in 1.0 - seen.event.softmax(dim=-1)[:, 0]]
        limit = self.threshold if bar is None else bar
        texts = []
        for row, doubt in enumerate(doubts):
            tokens, fact = seen.tokens[row : row + 1], self._fact(seen, row)
            if task == "physics":
                texts.append(self._physics(tokens, fact if doubt >= limit else {**fact, "event": "none"}))
            elif task == "caption":
                said = text_of(task, fact)
                texts.append([*self._scene(tokens, task), *said[said.index("</think>") :]])
            else:
                texts.append(text_of(task, fact))
        return texts, doubts

    def _fact(self, seen: Seen, row: int) -> dict[str, Any]:
        """Return what the trunk reads from a clip, as a fact sheet."""
        read = {name: READINGS[name][int(scores[row].argmax())] for name, scores in seen.readings.items()}
        event = EVENTS[int(seen.event[row, 1:].argmax())]
        frame = int(seen.frame[row].argmax())
        shown = max(0, frame - 1) if event == "vanish" else frame
        right, down, _ = seen.spots[row, shown].tolist()
        return {
            **read, "backward": read["time"] == "backward", "event": event, "frame": frame,
            "at": (0.5 + 0.5 * down, 0.5 + 0.5 * right),
            "bodies": [(read["colour"], read["shape"])],
        }  # fmt: skip

    def _physics(self, tokens: Tensor, fact: Mapping[str, Any]) -> list[str]:
        """Write about physics: the scene freely, then what is read, then the answer that follows from it."""
        scene, said = self._scene(tokens, "physics"), text_of("physics", fact)
        rest = said[said.index(".") + 1 :]
        if fact["event"] == "none" and "many" in scene:  # of an ordinary scene no main body is told
            rest = rest[rest.index(".") + 1 :]
        return [*scene, *rest]

    def _scene(self, tokens: Tensor, task: str) -> list[str]:
        """Return the likeliest words one after another, up to the first full stop, or as many as the net can write."""
        ids = torch.tensor([question_tokens(task)])
        allowed = torch.zeros(self.net.config.vocabulary)
        allowed[[TOKEN[event] for event in EVENTS]] = float("-inf")  # those are read from the trunk
        words: list[str] = []
        while ids.shape[1] < self.net.config.length:
            token = int((self.net.write(tokens, ids)[0, -1] + allowed).argmax())
            words.append(VOCABULARY[token])
            if words[-1] == ".":
                break
            ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
        return words


def load_small(folder: Path) -> SmallReasoner:
    """Load the embedded reasoner; it runs on the CPU.

    Raises:
        WeightsError: If the weights are missing, damaged or of another kind.
    """
    config = read_weights_config(folder)
    sha256 = check_files(folder, config)
    try:
        net = ReasonNet(from_mapping(ReasonNetConfig, config["net"]))
        state = {name: part.float() for name, part in load_file(folder / "net.safetensors").items()}
        net.load_state_dict(state)
        found = float(config["threshold"]), tuple(config["claims"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{folder} holds no embedded reasoner ({error}); reinstall cosmos-bridge.") from error
    if not 0.0 <= found[0] <= 1.0:
        raise WeightsError(f"{folder / 'config.json'} has a threshold of {found[0]}; reinstall cosmos-bridge.")
    return SmallReasoner(net.eval().requires_grad_(False), config, sha256)


__all__ = ["SPACING", "Said", "SmallReasoner", "Window", "load_small"]
