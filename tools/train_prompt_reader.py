"""Train the prompt reader on our own captions: ``python tools/train_prompt_reader.py --steps 12000``.

Writes ``reader.safetensors`` and ``reader.json`` into ``--out``. Two thirds of the captions come from a generator, one
third are whole prompts of ``prompt_captions.json``; every batch is new, and its seed and number decide it. Resumable:
``--run`` holds the last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253
from safetensors.torch import save_file
from torch import Tensor  # noqa: TID253

from cosmos.models.embedded.captions import neutral_words, noun_words, sample_conditions, split_words, vocabulary
from cosmos.models.embedded.conditions import READ_FIELDS, Conditions, to_read_vector
from cosmos.models.embedded.text import PromptReader, TextEncoder
from cosmos.models.spec import TextEncoderConfig, to_mapping
from prompt_captions import WholePrompt, whole_prompts

WEIGHTS = Path(__file__).resolve().parents[1] / "models" / "weights" / "transfer-small"
_SAVE_SECONDS = 60.0
_WHOLE = 0.35
"""Share of whole prompts."""
_LEFT_OUT = 0.08
"""Share of the words of a whole prompt that are left out, lest it be learnt by heart."""

Heard = Sequence[tuple[WholePrompt, list[str]]]
"""Whole prompts, each with the words of it that the encoder is told."""


def sample_batch(
    rng: np.random.Generator, reader: PromptReader, config: TextEncoderConfig, size: int, whole: Heard = ()
) -> tuple[Tensor, Tensor]:
    """Draw captions and what they mean: ids [B, L] and read vectors [B, len(READ_FIELDS)]."""
    neutral = sorted(neutral_words())
    beside = reader.ids(sorted(noun_words()))
    ids = np.zeros((size, config.length), dtype=np.int64)
    wanted = np.zeros((size, len(READ_FIELDS)), dtype=np.float32)
    for row in range(size):
        conditions, caption, bearing_said = sample_conditions(rng)
        if rng.random() < 0.06:
            # Nothing said of light and weather means the plain day that unsaid things mean everywhere else.
            conditions, bearing_said = Conditions(sun_elevation=rng.uniform(35.0, 60.0)), False
            caption = " ".join(rng.choice(neutral, size=int(rng.integers(0, 8)))) + " ?unknown?"
        said = split_words(caption)
        if whole and rng.random() < _WHOLE:
            prompt, heard = whole[int(rng.integers(len(whole)))]
            conditions, bearing_said = prompt.draw(rng), False
            said = [word for word in heard if rng.random() >= _LEFT_OUT]
        words = reader.ids(said)[: config.length]
        # A word that the reader does not know must not upset it, nor may those of places and things.
        words = [1 if rng.random() < 0.01 else word for word in words]
        for _ in range(int(rng.integers(1, 5)) if rng.random() < 0.5 else 0):
            words.insert(int(rng.integers(len(words) + 1)), 1 if rng.random() < 0.4 else int(rng.choice(beside)))
        words = words[: config.length]
        ids[row, : len(words)] = words
        wanted[row] = to_read_vector(conditions, bearing_said=bearing_said)
    longest = max(1, int((ids != 0).sum(1).max()))
    return torch.from_numpy(ids[:, :longest]), torch.from_numpy(wanted)


def reading_loss(mean: Tensor, log_std: Tensor, wanted: Tensor) -> Tensor:
    """Gaussian negative log likelihood, weighted by the deviation (Seitzer et al. 2022, eq. 5, beta 0.5)."""
    nll = 0.5 * ((wanted - mean) / log_std.exp()) ** 2 + log_std
    return (nll * log_std.exp().detach()).mean()


def train(folder: Path, *, steps: int, seed: int, batch: int) -> tuple[TextEncoder, tuple[str, ...], dict[str, Any]]:
    """Train up to some steps, from the folder's checkpoint if it has one; return the encoder, its words and the log."""
    torch.manual_seed(seed)
    config, words, file = TextEncoderConfig(), tuple(vocabulary()), folder / "reader.pt"
    if len(words) + 2 > config.words:
        raise ValueError(f"The vocabulary has {len(words)} words, the embedding {config.words} rows.")
    encoder = TextEncoder(config)
    reader = PromptReader(encoder, words)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-3, weight_decay=0.01)
    done, before, curve = 0, 0.0, list[dict[str, float]]()
    if file.exists():
        saved = torch.load(file, weights_only=True)
        if saved["words"] != list(words):
            raise ValueError(f"{file} was trained on another vocabulary; delete it to begin anew.")
        encoder.load_state_dict(saved["encoder"])
        optimizer.load_state_dict(saved["optimizer"])
        done, before, curve = saved["step"], saved["seconds"], saved["curve"]
    whole = [(prompt, reader.heard(prompt.text)) for prompt in whole_prompts()]
    start, first, kept = time.monotonic(), done, time.monotonic()
    encoder.train()
    for step in range(done + 1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, step / 100) * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        ids, wanted = sample_batch(np.random.default_rng([seed, step]), reader, config, batch, whole)
        torch.manual_seed(seed + step)  # of what is dropped out
        loss = reading_loss(*encoder(ids), wanted)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        now = time.monotonic()
        if step % 100 == 0 or step == steps:
            seconds = before + now - start
            curve.append({"step": step, "seconds": round(seconds, 1), "loss": round(loss.item(), 4)})
            left = (now - start) / (step - first) * (steps - step) / 60.0
            print(json.dumps(curve[-1] | {"minutes_left": round(left, 1)}), flush=True)
        if now - kept > _SAVE_SECONDS or step == steps:
            kept, state = now, {"encoder": encoder.state_dict(), "optimizer": optimizer.state_dict()}
            about = {"step": step, "seconds": before + now - start, "curve": curve, "words": list(words)}
            folder.mkdir(parents=True, exist_ok=True)
            torch.save(state | about, file.with_suffix(".tmp"))
            file.with_suffix(".tmp").replace(file)
    return encoder.eval(), words, {"steps": steps, "batch": batch, "seed": seed, "end": curve[-1:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--run", type=Path, default=Path("training/reader"), help="where checkpoints lie")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    encoder, words, log = train(args.run, steps=args.steps, seed=args.seed, batch=args.batch)
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in encoder.state_dict().items()}, args.out / "reader.safetensors"
    )
    config = {"encoder": to_mapping(encoder.config), "vocabulary": list(words), "training": log}
    (args.out / "reader.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
