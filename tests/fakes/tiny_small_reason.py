"""The embedded reasoner at tiny size, taught by heart what to say of a few drawn clips."""

import hashlib
import json
from dataclasses import asdict

import numpy as np
import torch  # noqa: TID253
from safetensors.torch import save_file

from cosmos.models.reason_small.net import ReasonNet, ReasonNetConfig
from cosmos.models.reason_small.training import Batch, cells_of, loss_of, readings_of, rows_of
from cosmos.models.reason_small.words import EVENTS, READINGS, text_of

TINY = ReasonNetConfig(height=32, width=48, stem=16, trunk=16, dim=24, heads=2, seers=1, writers=2)


def drawn_clip(event, frame=4, size=(32, 48)):
    """A red square that slides to the right over grey; from a frame on, what is wrong with it."""
    rows = np.linspace(60, 120, size[0]).astype(np.uint8)
    clip = np.broadcast_to(rows[None, :, None, None], (8, *size, 3)).copy()
    way = []
    for t in range(8):
        x = 4 + 4 * t + (12 if event == "teleport" and t >= frame else 0)
        there = not (event == "vanish" and t >= frame) and not (event == "appear" and t < frame)
        if there:
            clip[t, 18:26, min(x, 40) : min(x, 40) + 8] = (
                (40, 60, 200) if event == "recolour" and t >= frame else (200, 40, 30)
            )
        way.append([22 / size[0], (min(x, 40) + 4) / size[1]] if there else None)
    shown = frame - 1 if event == "vanish" else frame
    fact = {
        "event": event, "frame": frame, "motion": "roll", "one_way": True, "colour": "red", "shape": "box",
        "at": way[shown], "way": way, "bodies": [("red", "box")], "weather": "clear", "setting": "indoors",
        "kind": "drawn",
    }  # fmt: skip
    return clip, fact


def teach(net, clips, facts, tasks, *, steps=120):
    """Train a net on a few clips and tasks until it knows them by heart; return the last loss."""
    words, weights = rows_of([(task, text_of(task, fact)) for task in tasks for fact in facts], net.config.length)
    batch = Batch(
        clips=torch.from_numpy(np.stack(clips).transpose(0, 1, 4, 2, 3).copy()),
        words=words,
        weights=weights,
        event=torch.tensor([EVENTS.index(f["event"]) + 1 if f["event"] != "none" else 0 for f in facts]),
        frame=torch.tensor([f["frame"] if f["event"] != "none" else -100 for f in facts]),
        place=torch.tensor([cells_of(fact, clip.shape) for fact, clip in zip(facts, clips, strict=True)]),
        spots=torch.full((len(clips), len(clips[0]), 3), torch.nan),
        readings={name: torch.tensor([readings_of(fact, ("physics",))[name] for fact in facts]) for name in READINGS},
    )
    adam = torch.optim.Adam(net.parameters(), lr=4e-3)
    for _ in range(steps):
        loss, parts = loss_of(net, batch)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return parts


def export_small(net, folder, **told):
    """Write a net as it is shipped."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: part.detach().half().contiguous() for name, part in net.state_dict().items()}, folder / "net.safetensors"
    )
    config = {
        "name": "reason-small", "revision": "1", "licence": "Apache-2.0", "net": asdict(net.config),
        "threshold": 0.5, "claims": ["physics", *EVENTS, "colour", "shape", "place", "frame", "caption", "weather"],
        "files": {"net.safetensors": hashlib.sha256((folder / "net.safetensors").read_bytes()).hexdigest()}, **told,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def taught_folder(folder, events=("none", "vanish", "teleport", "recolour"), tasks=("physics", "caption")):
    """Write weights that know the drawn clips of some events."""
    torch.manual_seed(3)
    torch.set_num_threads(1)
    net = ReasonNet(TINY)
    clips, facts = zip(*(drawn_clip(event) for event in events), strict=True)
    parts = teach(net, clips, facts, tasks)
    assert max(parts.values()) < 0.15, parts
    return export_small(net.eval(), folder)
