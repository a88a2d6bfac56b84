"""The consistency critic: its CPU time over that of the embedded Transfer model, on one clip of the warehouse.

Both take turns, and the cheapest of each is told. A judgement runs on one thread for the most part, a transfer on all:
where other programs keep the other cores busy, a thread that has its core for itself otherwise takes up to half more
CPU time for the same work, and the share is worse than on a machine at rest.
"""

import time

from bars import Bar
from bench_transfer import model, request

FRAMES = 8
PROMPT = "a clear sunny day"


class _CriticShare(Bar):
    """CPU time of all threads: the judgement's over the transfer's."""

    unit, bar, more_is_better = "%", 25, False
    size = (144, 256)

    def measure(self):
        from cosmos.bridge.critic.registry import create

        critic, asked = create("consistency"), request(self.size, PROMPT, FRAMES)
        made = model().transfer(asked)
        critic.judge(asked, made)
        turns, begin = [], time.perf_counter()
        while len(turns) < 3 or time.perf_counter() - begin < 2.0 * self.budget:
            start = time.process_time()
            model().transfer(asked)
            middle = time.process_time()
            critic.judge(asked, made)
            turns.append((time.process_time() - middle, middle - start))
        asked.clip.close()
        judged, painted = (min(costs) for costs in zip(*turns, strict=True))
        each = (1e3 * spent / FRAMES for spent in (judged, painted))
        return 100.0 * judged / painted, "{:.0f} ms of CPU a frame beside {:.0f}".format(*each)


class CriticShare256(_CriticShare):
    """256x144."""

    title = "critic beside the transfer, 256x144"


class CriticShare640(_CriticShare):
    """640x352."""

    title, size = "critic beside the transfer, 640x352", (352, 640)


BARS = (CriticShare256, CriticShare640)
