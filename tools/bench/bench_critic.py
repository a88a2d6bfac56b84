"""The consistency critic: its CPU time over that of the embedded Transfer model, on one clip of the warehouse."""

from bars import Bar, best_seconds
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
        made = [model().transfer(asked)]
        _, painted = best_seconds(lambda _: made.append(model().transfer(asked)), budget=self.budget)
        critic.judge(asked, made[0])
        _, judged = best_seconds(lambda _: critic.judge(asked, made[0]), budget=self.budget)
        asked.clip.close()
        each = (1e3 * spent / FRAMES for spent in (judged, painted))
        return 100.0 * judged / painted, "{:.0f} ms of CPU a frame beside {:.0f}".format(*each)


class CriticShare256(_CriticShare):
    """256x144."""

    title = "critic beside the transfer, 256x144"


class CriticShare640(_CriticShare):
    """640x352."""

    title, size = "critic beside the transfer, 640x352", (352, 640)


BARS = (CriticShare256, CriticShare640)
