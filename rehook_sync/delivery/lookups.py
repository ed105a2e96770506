"""Questions to Rehook that change nothing there, within the limits of delivery."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from rehook_sync.delivery.limits import RateLimiter
from rehook_sync.delivery.outcomes import HOPELESS, backoff_s, stop_reason
from rehook_sync.delivery.report import DeliveryConfig
from rehook_sync.runtime import Interrupt, run_loop

if TYPE_CHECKING:  # commands that ask nothing do not load httpx
    from rehook_sync.rehook.client import Found, Rehook

__all__ = ["Question", "look_up"]

_AT_ONCE = 8
_NO_JITTER = 1.0


class Question(NamedTuple):
    """What is asked for: the customer of a user id, or the owner of a referral code."""

    text: str
    is_code: bool = False


def look_up(client: "Rehook", questions: Sequence[Question], config: DeliveryConfig, interrupt: Interrupt) -> "dict[Question, Found]":
    """Return what Rehook has; without the questions that an interrupt left.

    Raises: StoppedError when Rehook refuses the job or does not answer.
    """
    return run_loop(_Asker(client, config, interrupt).ask_all(questions))


class _Asker:
    def __init__(self, client: "Rehook", config: DeliveryConfig, interrupt: Interrupt) -> None:
        self._client = client
        self._config = config
        self._interrupt = interrupt
        self._limiter = RateLimiter(config.rate_limit)

    async def ask_all(self, questions: Sequence[Question]) -> "dict[Question, Found]":
        found: dict[Question, Found] = {}
        left = iter(questions)

        async def work() -> None:
            for question in left:
                if self._interrupt.requested:
                    return
                found[question] = await self._ask(question)

        async with aclosing(self._client):
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(_AT_ONCE, self._config.concurrency, len(questions))):
                        group.create_task(work())
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
        return found

    async def _ask(self, question: Question) -> "Found":
        """Ask until there is an answer, as often as a request may be tried."""
        policy = self._config.policy
        for attempt in range(1, policy.max_attempts + 1):
            await asyncio.sleep(self._limiter.reserve(time.monotonic()))
            found = await (self._client.find_owner if question.is_code else self._client.find_customer)(question.text)
            if found.is_there is not None:
                return found
            wait_s = found.answer.retry_after_s or backoff_s(attempt, _NO_JITTER)
            if found.answer.effect in HOPELESS or attempt == policy.max_attempts or wait_s > policy.patience_s:
                break
            self._limiter.pause(time.monotonic(), wait_s)
        raise stop_reason(found.answer)
