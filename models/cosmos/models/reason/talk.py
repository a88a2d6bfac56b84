"""What is said to a Reason model: its chat, the places of the pictures in it, and the form of its answers.

Generation 1 (Reason1, Qwen2.5-VL) always thinks, in ``<think>`` and ``<answer>``; generation 2 (Reason2 and the Cosmos
3 reasoner, Qwen3-VL) thinks when the user turn asks for it, and answers right after ``</think>``. Pictures come before
the text; generation 2 reads the time of each step as ``<1.5 seconds>`` before it, generation 1 by the spacing of
positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

Generation = Literal[1, 2]

_VIDEO, _BEGIN, _END = "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"
THINK_END = "</think>"
"""What ends a thought."""

_FORM_1 = (
    "You look closely at videos. Answer the question in this form:\n"
    "<think>\nyour reasoning\n</think>\n\n<answer>\nyour answer\n</answer>"
)
_SYSTEM_2 = "You are a helpful assistant."
_FORM_2 = "\n\nAnswer in this form:\n<think>\nyour reasoning\n</think>\n\nyour answer, with nothing after it."
_OPEN_2 = "\n\nAnswer directly, with nothing before or after the answer."


class TalkError(ValueError):
    """A chat cannot be made, or an answer has not the form that was asked for."""


def compose(
    tokenizer: Any, text: str, *, generation: Generation, think: bool, tokens: int | None, times: Sequence[float]
) -> str:
    """Return the whole chat up to where the model speaks.

    Args:
        tokenizer: Of the checkpoint, with its chat template.
        text: The question. No special token may be in it.
        generation: Of the model.
        think: Whether it is asked to reason first.
        tokens: Tokens of one step of the pictures; ``None`` leaves one bare place for an engine that fills it.
        times: Middle of each step [s].

    Raises:
        TalkError: If the text holds a special token, or the template has no place for one video.
    """
    forbidden = [mark for mark in special_marks(tokenizer) if mark in text]
    if forbidden:
        raise TalkError(f"The question holds {forbidden[0]!r}, which is a mark of the model; take it out.")
    system, user = (_FORM_1, text) if generation == 1 else (_SYSTEM_2, text + (_FORM_2 if think else _OPEN_2))
    chat = tokenizer.apply_chat_template(
        [
            {"role": "system", "content": [{"type": "text", "text": system}]},
            {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": user}]},
        ],
        tokenize=False,
        add_generation_prompt=True,
    )
    if chat.count(_VIDEO) != 1:
        raise TalkError(f"The chat template of the checkpoint has {chat.count(_VIDEO)} places for one video.")
    framed = f"{_BEGIN}{_VIDEO}{_END}"
    if tokens is None:
        return chat if generation == 1 else chat.replace(framed, _VIDEO)
    if generation == 1:
        return chat.replace(_VIDEO, _VIDEO * (tokens * len(times)))
    steps = "".join(f"<{time:.1f} seconds>{_BEGIN}{_VIDEO * tokens}{_END}" for time in times)
    return chat.replace(framed if framed in chat else _VIDEO, steps)


def special_marks(tokenizer: Any) -> list[str]:
    """Return every text that the tokenizer reads as one special token."""
    return [str(token) for token in tokenizer.added_tokens_decoder.values()]


def lead_in(generation: Generation, *, think: bool) -> str:
    """Return what is written for the model between its thought and the first word of its answer."""
    if generation == 1:
        return "\n\n<answer>\n" if think else f"<think>\n{THINK_END}\n\n<answer>\n"
    return "\n\n" if think else ""


def split_answer(text: str, *, generation: Generation, think: bool) -> tuple[str, str]:
    """Split what a model wrote into thought and answer, strictly.

    Raises:
        TalkError: If the form is not kept, for one because the text was cut off.
    """
    thought, answer = "", text.strip()
    if think or generation == 1:
        head, mark, tail = answer.partition(THINK_END)
        if not mark or not head.lstrip().startswith("<think>") or THINK_END in tail or "<think>" in tail:
            raise TalkError("it is not one thought between <think> and </think> followed by an answer")
        thought, answer = head.lstrip().removeprefix("<think>").strip(), tail.strip()
    if generation == 1:
        if not answer.startswith("<answer>") or not answer.endswith("</answer>") or answer.count("<answer>") != 1:
            raise TalkError("its answer does not stand between <answer> and </answer>")
        answer = answer.removeprefix("<answer>").removesuffix("</answer>").strip()
    if not answer:
        raise TalkError("its answer is empty")
    return thought, answer


__all__ = ["THINK_END", "Generation", "TalkError", "compose", "lead_in", "special_marks", "split_answer"]
