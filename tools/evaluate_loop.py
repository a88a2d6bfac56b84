"""Does acting on the named cause make more and better clips than rolling the seed again?

``python tools/evaluate_loop.py --scenes 17`` asks the embedded model for night, fog, snow and dust on held-out stages
with a guidance so low that it often falls short of the prompt, lets the critic judge, and tries again by each policy.
It prints the accepted share, and how near the clips come to path-traced pictures of what was asked for, which no
critic sees; ``--doc`` puts the table into docs/critic.md. Clips of a scene are kept, so that it can go on, and several
processes can share the work.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253
import warp as wp

from cosmos.bridge import Bridge, BridgeConfig, scenes
from cosmos.bridge.bridge import default_weights
from cosmos.bridge.calibrate.making import claimed
from cosmos.bridge.calibrate.roc import Rate
from cosmos.bridge.calibrate.tables import rate_text
from cosmos.bridge.controls import derive_controls
from cosmos.bridge.critic.registry import create as create_critic
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.runs.plan import plan_clips
from cosmos.bridge.sources import StageSource, read_clip
from cosmos.bridge.transfer.embedded import EmbeddedTransfer
from cosmos.bridge.transfer.light import look_of, view_azimuth
from cosmos.bridge.types import Clip, Progress, TransferRequest, TransferResult
from cosmos.models.embedded.conditions import Conditions
from make_training_data import target_of, usable
from publish import put_between
from transfer_metrics import psnr, ssim

FIRST_SCENE = 720_000
PROMPTS = {
    "night": "at night",
    "fog": "in dense fog",
    "snow": "covered in snow",
    "dust": "a dust storm",
    "rainy-night": "a rainy night",
    "foggy-dusk": "a foggy dusk",
}
POLICIES = ("seed", "cause")
GUIDANCE, ATTEMPTS, FRAMES = 0.25, 3, 3
DOC = Path(__file__).resolve().parents[1] / "exts" / "cosmos.bridge" / "docs" / "critic.md"


class Remembering:
    """A model that makes the same request once: the first attempt of both policies is one."""

    def __init__(self, model: EmbeddedTransfer) -> None:
        self._model, self._made = model, dict[Any, TransferResult]()
        self.spec, self.load, self.unload = model.spec, model.load, model.unload

    def transfer(self, request: TransferRequest, progress: Progress | None = None) -> TransferResult:
        key = (id(request.clip), request.prompt, request.seed, request.guidance, id(request.weights))
        if key not in self._made:
            self._made[key] = self._model.transfer(request, progress)
        return self._made[key]

    def forget(self) -> None:
        self._made.clear()


def try_scene(seed: int, model: Remembering, size: tuple[int, int], samples: int) -> list[dict[str, Any]]:
    """Try each prompt of one scene by each policy; nothing where the scene shows nothing usable."""
    stage = scenes.random(seed, num_frames=2 * FRAMES)
    with closing(StageSource(stage, camera="/World/Camera", frames=range(0, 2 * FRAMES, 2), size=size)) as source:
        clip = read_clip(source)
    with closing(clip), closing(Renderer(stage)) as renderer:
        if not usable(clip):
            return []
        controls, weights = derive_controls(clip), default_weights(clip)
        rows = []
        for name, prompt in PROMPTS.items():
            target = traced(renderer, clip, prompt, seed, size, samples)
            for policy in POLICIES:
                config = BridgeConfig.from_mapping(
                    {"source": "s", "out": "o", "prompts": [prompt], "seed": seed % 1000, "guidance": GUIDANCE,
                     "guard": "off", "retry": {"max_attempts": ATTEMPTS, "change": policy, "weight_gain": 2.0}}
                )  # fmt: skip
                bridge = Bridge(config, transfer=model, critic=create_critic("consistency"))
                for made in bridge.attempts(plan_clips(config)[0], clip, controls, weights):
                    picture = made.result.rgb.numpy()[FRAMES // 2]
                    checks = sorted({f.check for f in made.verdict.findings if f.severity == "reject"})
                    rows.append(
                        {"scene": seed, "prompt": name, "policy": policy, "attempt": made.attempt,
                         "accepted": made.verdict.accepted, "score": made.verdict.score, "checks": checks,
                         "guidance": made.request.guidance, "remedy": made.remedy,
                         "psnr": psnr(picture, target), "ssim": ssim(picture, target)}
                    )  # fmt: skip
            model.forget()
        return rows


def traced(renderer: Renderer, clip: Clip, prompt: str, seed: int, size: tuple[int, int], samples: int) -> np.ndarray:
    """Path-trace the middle frame as the prompt asks for it, uint8 [H, W, 3]."""
    conditions = conditions_of(prompt)
    azimuth = view_azimuth(clip.cameras[0], clip.up_axis) + conditions.sun_bearing
    look = look_of(conditions, azimuth=azimuth, seed=7 * (seed % 1000))
    time_code = float(clip.time_codes[FRAMES // 2])
    return target_of(renderer, "/World/Camera", time_code, size=size, look=look, samples=samples)


def conditions_of(prompt: str) -> Conditions:
    """Read a prompt as the model does at full guidance."""
    from cosmos.models.embedded.sampling import load_embedded
    from cosmos.models.weights import find_weights

    if prompt not in _READ:
        _READ[prompt] = load_embedded(find_weights("transfer-small"), "cpu").reader.read(prompt, seed=0).conditions
    return _READ[prompt]


_READ: dict[str, Conditions] = {}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return accepted shares and nearness to the targets by policy, as Markdown."""
    clips = sorted({clip_of(row) for row in rows})
    lines = [
        f"{len(clips)} clips of {len({scene for scene, _ in clips})} held-out scenes, asked for with a guidance of "
        f"{GUIDANCE:g}, at most {ATTEMPTS} attempts. PSNR and SSIM are those of the middle frame to the path-traced "
        "picture of what was asked for, which the critic never sees.",
        "",
        "| policy | attempts a clip | accepted at first | accepted in the end [95 %] | accepted clips: PSNR, SSIM "
        "| all clips, last attempt: PSNR, SSIM |",
        "|---|---|---|---|---|---|",
    ]
    for policy in POLICIES:
        mine = [row for row in rows if row["policy"] == policy]
        last = {clip_of(row): row for row in sorted(mine, key=lambda row: row["attempt"])}
        first = [row for row in mine if row["attempt"] == 1]
        kept = [row for row in last.values() if row["accepted"]]
        rates = [Rate(hits=sum(row["accepted"] for row in part), count=len(part)) for part in (first, last.values())]
        lines.append(
            f"| `{policy}` | {len(mine) / max(1, len(last)):.2f} | {rate_text(rates[0], interval=False)} "
            f"| {rate_text(rates[1])} | {means(kept)} | {means(list(last.values()))} |"
        )
    gains = []
    for key in clips:
        ends = {row["policy"]: row for row in sorted(rows, key=lambda row: row["attempt"]) if clip_of(row) == key}
        if all(end["attempt"] > 1 for end in ends.values()):
            gains.append(ends["cause"]["psnr"] - ends["seed"]["psnr"])
    if gains:
        rng = np.random.default_rng(0)
        low, high = np.quantile([rng.choice(gains, len(gains)).mean() for _ in range(2000)], (0.025, 0.975))
        lines.append(
            f"\n{len(gains)} clips were rejected at first. Their last attempt by cause is nearer to the traced picture "
            f"than that by seed by {np.mean(gains):.2f} dB [{low:.2f}, {high:.2f}] of PSNR; "
            f"{sum(gain > 0 for gain in gains)} of them are nearer."
        )
    return "\n".join(lines)


def clip_of(row: dict[str, Any]) -> tuple[int, str]:
    """Return what tells a clip from the others."""
    return row["scene"], row["prompt"]


def means(rows: Sequence[dict[str, Any]]) -> str:
    """Return mean PSNR and SSIM."""
    if not rows:
        return ""
    return f"{np.mean([row['psnr'] for row in rows]):.2f} dB, {np.mean([row['ssim'] for row in rows]):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=17, help="scenes; six clips each")
    parser.add_argument("--size", default="90x160", help="height and width")
    parser.add_argument("--samples", type=int, default=8, help="paths a pixel of a target")
    parser.add_argument("--work", type=Path, default=Path("training/loop"), help="folder of the results a scene")
    parser.add_argument("--doc", action="store_true", help="put the table into docs/critic.md")
    args = parser.parse_args()
    wp.config.quiet = True
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    height, width = map(int, args.size.split("x"))
    model = Remembering(EmbeddedTransfer())
    files = [args.work / f"{seed}.{model.spec.revision}.{args.size}.json"
             for seed in range(FIRST_SCENE, FIRST_SCENE + args.scenes)]  # fmt: skip
    for number, file in enumerate(files):
        with claimed(file) as mine:
            if mine and not file.exists():
                rows = try_scene(FIRST_SCENE + number, model, (height, width), args.samples)
                file.write_text(json.dumps(rows))
                print(f"scene {number + 1} of {len(files)}: {len(rows)} attempts", flush=True)
    rows = [row for file in files if file.exists() for row in json.loads(file.read_text())]
    text = table(rows)
    print(text)
    if args.doc:
        put_between(DOC, "loop", text)


if __name__ == "__main__":
    main()
