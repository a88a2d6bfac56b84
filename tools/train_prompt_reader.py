"""Train the prompt reader on our own captions: ``python tools/train_prompt_reader.py --steps 12000``.

Writes ``reader.safetensors`` and ``reader.json`` into ``--out``. Half of the captions are whole prompts of
``prompt_captions.json``, the others come from a generator; some are joined to a prompt that says nothing of light and
weather, or are such a prompt. Every batch is new, and its seed and number decide it. Resumable: ``--run`` holds the
last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch  # noqa: TID253
from safetensors.torch import save_file
from torch import Tensor  # noqa: TID253
from torch.nn.functional import cross_entropy  # noqa: TID253

from cosmos.models.embedded.bands import SLICES, bands_of
from cosmos.models.embedded.captions import neutral_words, noun_words, sample_conditions, split_words, vocabulary
from cosmos.models.embedded.conditions import READ_FIELDS, Conditions, to_read_vector
from cosmos.models.embedded.text import MAGNITUDES, PromptReader
from cosmos.models.embedded.text_encoder import TextEncoder
from cosmos.models.spec import TextEncoderConfig, to_mapping
from prompt_captions import WholePrompt, plain_prompts, whole_prompts

WEIGHTS = Path(__file__).resolve().parents[1] / "models" / "weights" / "transfer-small"
_SAVE_SECONDS = 60.0
_WHOLE, _PLAIN = 0.45, 0.25
"""Shares of whole prompts, and of those that say nothing of light and weather."""
_BESIDE = 0.4
"""Share of the other captions to which a prompt that says nothing of them is joined."""
_LEFT_OUT = 0.1
"""Share of the words of a whole prompt that are left out, lest it be learnt by heart."""

_BANDS_SHARE = 0.3
"""Share of the loss of the bands."""
_PARTS = 4
"""Parts of a batch, each as long as the longest of its captions."""
_OFTEN = 4
"""Whole prompts in which a word stands that gets a row of its own."""
_MISTYPED = frozenset(
    split_words(
        "accross becuase blizard burried cloudles comming completly drizle extremly ligth midnigt nigth nihgt overcst "
        "puddels rian sandstrom shaddows snowfal snwo strom twilght visibilty visiblity wether"
    )
)
"""Typing errors that stand in as many of them: a row of their own would keep them from being mended."""


class Prompts(NamedTuple):
    """Prompts as the words that the encoder is told of them."""

    whole: Sequence[tuple[WholePrompt, list[str]]]
    plain: Sequence[list[str]]
    """Of prompts that say nothing of light and weather."""


def sample_batch(
    rng: np.random.Generator, reader: PromptReader, config: TextEncoderConfig, size: int, prompts: Prompts
) -> tuple[Tensor, Tensor]:
    """Draw captions and what they mean: ids [B, L] and read vectors [B, len(READ_FIELDS)]."""
    neutral = sorted(neutral_words())
    nouns = reader.ids(sorted(noun_words()))
    ids = np.zeros((size, config.length), dtype=np.int64)
    wanted = np.zeros((size, len(READ_FIELDS)), dtype=np.float32)
    for row in range(size):
        conditions, said, bearing_said = _sample_caption(rng, prompts, neutral)
        words = reader.ids(said)[: config.length]
        # A word that the reader does not know must not upset it, nor may those of places and things.
        words = [1 if rng.random() < 0.01 else word for word in words]
        for _ in range(int(rng.integers(1, 5)) if rng.random() < 0.5 else 0):
            words.insert(int(rng.integers(len(words) + 1)), 1 if rng.random() < 0.4 else int(rng.choice(nouns)))
        words = words[: config.length]
        ids[row, : len(words)] = words
        wanted[row] = to_read_vector(conditions, bearing_said=bearing_said)
    longest = max(1, int((ids != 0).sum(1).max()))
    return torch.from_numpy(ids[:, :longest]), torch.from_numpy(wanted)


def _sample_caption(
    rng: np.random.Generator, prompts: Prompts, neutral: Sequence[str]
) -> tuple[Conditions, list[str], bool]:
    """Draw a look and the words of one of its captions, and whether that tells where the sun stands."""
    kind, bearing_said = rng.random(), False
    if kind < _PLAIN:
        # Nothing said of light and weather means the plain day that unsaid things mean everywhere else.
        conditions = Conditions(sun_elevation=rng.uniform(35.0, 60.0))
        if rng.random() < 0.25:
            words = [str(word) for word in rng.choice(neutral, size=int(rng.integers(0, 8)))]
            return conditions, [*words, "?"], False
        return conditions, _left(rng, prompts.plain[int(rng.integers(len(prompts.plain)))]), False
    if kind < _PLAIN + _WHOLE:
        prompt, words = prompts.whole[int(rng.integers(len(prompts.whole)))]
        conditions, words = prompt.draw(rng), _left(rng, words)
    else:
        conditions, caption, bearing_said = sample_conditions(rng)
        words = split_words(caption)
    if rng.random() < _BESIDE:
        beside = _left(rng, prompts.plain[int(rng.integers(len(prompts.plain)))])
        words = [*beside, *words] if rng.random() < 0.5 else [*words, *beside]
    return conditions, words, bearing_said


def _left(rng: np.random.Generator, words: Sequence[str]) -> list[str]:
    """Leave out some words of a prompt."""
    return [word for word in words if rng.random() >= _LEFT_OUT]


def read_by_length(encoder: TextEncoder, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Read captions of a batch in parts, short ones apart from long ones, which costs two thirds."""
    lengths = (ids != 0).sum(1)
    order = lengths.argsort(stable=True)
    parts = [encoder(ids[part, : max(1, int(lengths[part].max()))]) for part in order.chunk(_PARTS)]
    mean, log_std, bands = (torch.cat(values)[order.argsort()] for values in zip(*parts, strict=True))
    return mean, log_std, bands


def overheard_words(known: Collection[str]) -> tuple[str, ...]:
    """Return the words that no caption of the generator holds and several whole prompts do, and those for numbers."""
    texts = [prompt.text for prompt in whole_prompts()] + plain_prompts()
    counts = Counter(word for text in texts for word in set(split_words(text)) - _MISTYPED)
    often = sorted(word for word, count in counts.items() if count >= _OFTEN and not word.isdigit())
    return (*(word for word in often if word not in known), *(f"#{least}" for least in MAGNITUDES))


def reading_loss(mean: Tensor, log_std: Tensor, bands: Tensor, wanted: Tensor) -> Tensor:
    """Gaussian negative log likelihood by the deviation (Seitzer et al. 2022, eq. 5, beta 0.5), and that of bands."""
    nll = 0.5 * ((wanted - mean) / log_std.exp()) ** 2 + log_std
    right = torch.from_numpy(np.stack([bands_of(vector) for vector in wanted.numpy()]))
    named = [cross_entropy(bands[:, part], right[:, place]) for place, part in enumerate(SLICES.values())]
    return (nll * log_std.exp().detach()).mean() + _BANDS_SHARE * torch.stack(named).mean()


def train(folder: Path, *, steps: int, seed: int, batch: int) -> tuple[TextEncoder, dict[str, Any]]:
    """Train up to some steps, from the folder's checkpoint if it has one; return the encoder, its words and the log."""
    torch.manual_seed(seed)
    config, asked, file = TextEncoderConfig(), tuple(vocabulary()), folder / "reader.pt"
    overheard = overheard_words(asked)
    words = (*asked, *overheard)
    if len(words) + 2 > config.words:
        raise ValueError(f"The vocabulary has {len(words)} words, the embedding {config.words} rows.")
    encoder = TextEncoder(config)
    reader = PromptReader(encoder, asked, overheard)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-3, weight_decay=0.01)
    done, before, curve = 0, 0.0, list[dict[str, float]]()
    if file.exists():
        saved = torch.load(file, weights_only=True)
        if saved["words"] != list(words):
            raise ValueError(f"{file} was trained on another vocabulary; delete it to begin anew.")
        encoder.load_state_dict(saved["encoder"])
        optimizer.load_state_dict(saved["optimizer"])
        done, before, curve = saved["step"], saved["seconds"], saved["curve"]
    prompts = Prompts(
        [(prompt, reader.heard(prompt.text)) for prompt in whole_prompts()], list(map(reader.heard, plain_prompts()))
    )
    start, first, kept = time.monotonic(), done, time.monotonic()
    encoder.train()
    for step in range(done + 1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, step / 100) * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        ids, wanted = sample_batch(np.random.default_rng([seed, step]), reader, config, batch, prompts)
        torch.manual_seed(seed + step)  # of what is dropped out
        loss = reading_loss(*read_by_length(encoder, ids), wanted)
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
    log = {"steps": steps, "batch": batch, "seed": seed, "end": curve[-1:]}
    return encoder.eval(), {"vocabulary": list(asked), "overheard": list(overheard), "training": log}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--run", type=Path, default=Path("training/reader"), help="where checkpoints lie")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    encoder, about = train(args.run, steps=args.steps, seed=args.seed, batch=args.batch)
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in encoder.state_dict().items()}, args.out / "reader.safetensors"
    )
    config = {"encoder": to_mapping(encoder.config)} | about
    (args.out / "reader.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
