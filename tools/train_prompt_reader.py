"""Train the prompt reader on our own captions: ``python tools/train_prompt_reader.py --steps 8000``.

Writes ``models/weights/transfer-small/reader.safetensors`` and ``reader.json``. The captions come from a generator, so
there is no data set: every batch is new. Some wordings and all captions of the test seeds are never trained on.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch  # noqa: TID253
from safetensors.torch import save_file
from torch import Tensor  # noqa: TID253

from cosmos.models.embedded.captions import neutral_words, sample_conditions, split_words, vocabulary
from cosmos.models.embedded.conditions import READ_FIELDS, Conditions, to_read_vector
from cosmos.models.embedded.text import PromptReader, TextEncoder
from cosmos.models.spec import TextEncoderConfig, to_mapping

WEIGHTS = Path(__file__).resolve().parents[1] / "models" / "weights" / "transfer-small"


def sample_batch(rng: np.random.Generator, reader: PromptReader, config: TextEncoderConfig, size: int):
    """Draw captions and what they mean: ids [B, L] and read vectors [B, len(READ_FIELDS)]."""
    ids = np.zeros((size, config.length), dtype=np.int64)
    wanted = np.zeros((size, len(READ_FIELDS)), dtype=np.float32)
    for row in range(size):
        conditions, caption, bearing_said = sample_conditions(rng)
        if rng.random() < 0.06:
            # Nothing said of light and weather means the plain day that unsaid things mean everywhere else.
            conditions, bearing_said = Conditions(sun_elevation=rng.uniform(35.0, 60.0)), False
            neutral = sorted(neutral_words())
            caption = " ".join(rng.choice(neutral, size=int(rng.integers(0, 8)))) + " ?unknown?"
        words = reader.ids(split_words(caption))[: config.length]
        # A word that the reader does not know must not upset it.
        words = [1 if rng.random() < 0.01 else word for word in words]
        if rng.random() < 0.3:
            words.insert(int(rng.integers(len(words) + 1)), 1)
        words = words[: config.length]
        ids[row, : len(words)] = words
        wanted[row] = to_read_vector(conditions, bearing_said=bearing_said)
    longest = max(1, int((ids != 0).sum(1).max()))
    return torch.from_numpy(ids[:, :longest]), torch.from_numpy(wanted)


def reading_loss(mean: Tensor, log_std: Tensor, wanted: Tensor) -> Tensor:
    """Gaussian negative log likelihood, weighted by the deviation (Seitzer et al. 2022, eq. 5, beta 0.5)."""
    nll = 0.5 * ((wanted - mean) / log_std.exp()) ** 2 + log_std
    return (nll * log_std.exp().detach()).mean()


def train(steps: int, seed: int, batch: int) -> tuple[TextEncoder, tuple[str, ...], dict]:
    """Train for some steps; return the encoder, its vocabulary and the log."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    config = TextEncoderConfig()
    words = tuple(vocabulary())
    if len(words) + 2 > config.words:
        raise ValueError(f"The vocabulary has {len(words)} words, the embedding {config.words} rows.")
    encoder = TextEncoder(config)
    reader = PromptReader(encoder, words)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-3, weight_decay=0.01)
    start, curve = time.monotonic(), []
    encoder.train()
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, step / 100) * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        ids, wanted = sample_batch(rng, reader, config, batch)
        loss = reading_loss(*encoder(ids), wanted)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            curve.append({"step": step, "seconds": round(time.monotonic() - start, 1), "loss": round(loss.item(), 4)})
            print(json.dumps(curve[-1]), flush=True)
    return encoder.eval(), words, {"steps": steps, "batch": batch, "seed": seed, "end": curve[-1:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    encoder, words, log = train(args.steps, args.seed, args.batch)
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in encoder.state_dict().items()}, args.out / "reader.safetensors"
    )
    config = {"encoder": to_mapping(encoder.config), "vocabulary": list(words), "training": log}
    (args.out / "reader.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
