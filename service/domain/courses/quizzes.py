"""Grades the answers to a quiz. Pure functions, no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.errors import Fault, InvalidRequest

PASS_PERCENT = 70
"""Least share of right answers with which a quiz is passed."""
Question = Mapping[str, Any]
"""A question of a stored quiz: text, choices, and the numbers of the right choices from 0."""
Answers = Sequence[Sequence[int]]
"""For each question the numbers of the chosen choices from 0."""


@dataclass(frozen=True, slots=True)
class Grade:
    """Which answers are right, in the order of the questions."""

    right: tuple[bool, ...]

    @property
    def n_right(self) -> int:
        return sum(self.right)

    @property
    def is_passed(self) -> bool:
        """Whether PASS_PERCENT of the answers or more are right."""
        return self.n_right * 100 >= len(self.right) * PASS_PERCENT


def grade(quiz: Sequence[Question], answers: Answers, *, field: str) -> Grade:
    """Grade answers; one is right if it has all right choices and no other.

    Raises:
        InvalidRequest: their number is not that of the questions; the fault names `field`.
    """
    if len(answers) != len(quiz):
        message = f"Send an answer for each of the {len(quiz)} questions, in their order."
        raise InvalidRequest(message, faults=(Fault(field, message),))
    pairs = zip(quiz, answers, strict=True)
    return Grade(tuple(set(question["answers"]) == set(answer) for question, answer in pairs))
