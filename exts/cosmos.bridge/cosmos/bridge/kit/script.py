"""A capture as the words that repeat it: Python for the Script Editor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def writer_script(
    keywords: Mapping[str, Any], cameras: tuple[str, ...] = (), size: tuple[int, int] = (704, 1280)
) -> str:
    """Return Python that attaches a writer with these keywords.

    Args:
        keywords: What ``initialize()`` takes.
        cameras: Prim paths to make render products of; none leaves that to the reader.
        size: Height and width [px] of the products.
    """
    lines = ["import omni.replicator.core as rep", ""]
    if cameras:
        lines.append(f"cameras = {list(cameras)!r}")
        lines.append(f"products = [rep.create.render_product(camera, ({size[1]}, {size[0]})) for camera in cameras]")
    lines.append('writer = rep.WriterRegistry.get("CosmosBridgeWriter")')
    arguments = "".join(f"    {name}={value!r},\n" for name, value in keywords.items())
    lines.append(f"writer.initialize(\n{arguments})")
    lines.append("writer.attach(products)" if cameras else "writer.attach(render_products)")
    return "\n".join(lines) + "\n"


__all__ = ["writer_script"]
