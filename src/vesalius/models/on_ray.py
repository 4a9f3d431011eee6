"""A model on a Ray cluster: one copy a worker, questions dealt out in small hands.

Knows any model by its URL alone, which means the same to every machine of the cluster; leaves what an answer depends
on to the model, so that answers from here and from a cluster are the same to a run.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from vesalius.errors import VesaliusError
from vesalius.models.protocol import Model, open_model
from vesalius.records import Answer, Question
from vesalius.run.cluster import connect

_TRIES = 2  # of a hand whose worker died


class RayModel:
    """See `protocol.Model`; what is the model's own is asked of a copy here, which loads nothing.

    Args:
        url: see `protocol.open_model`.
        address: of the cluster, see `run.cluster.connect`.
        defaults: see `protocol.open_model`.
        workers: copies; by default one a GPU of the cluster, or one a core where it has none.
        hand: questions that a copy is given at once.
    """

    def __init__(self, url: str, address: str, defaults: dict[str, Any], *, workers: int | None = None, hand: int = 8):
        self._here = open_model(url, **defaults)
        self._opened = (url, defaults)
        self._address = address
        self._workers = workers
        self._hand = hand
        self.name = self._here.name
        self.media = self._here.media
        self.sent_in = getattr(self._here, "sent_in", False)

    def identity(self) -> dict[str, Any]:
        """The model's own."""
        return self._here.identity()

    def check(self) -> str:
        """The model's own, on this machine."""
        return self._here.check()

    def answer(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """See `protocol.Model`. A hand whose worker dies is dealt again to a new one, then failed."""
        ray = connect(self._address)
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        size = self._workers or gpus or max(1, int(resources.get("CPU", 1)))
        copy = ray.remote(num_cpus=1, num_gpus=min(1, gpus))(_Copy)
        idle = [copy.remote(*self._opened) for _ in range(size)]
        running: dict[Any, tuple[Any, list[Question], int]] = {}
        again: list[tuple[list[Question], int]] = []
        questions = iter(questions)
        try:
            while True:
                while idle and (dealt := again.pop() if again else self._deal(questions)):
                    worker = idle.pop()
                    running[worker.answer.remote(dealt[0])] = (worker, *dealt)
                if not running:
                    return
                for ready in ray.wait(list(running))[0]:
                    worker, hand, tries = running.pop(ready)
                    try:
                        found = ray.get(ready)
                    except ray.exceptions.RayActorError as error:
                        idle.append(copy.remote(*self._opened))
                        if tries < _TRIES:
                            again.append((hand, tries + 1))
                        else:
                            reason = f"its worker on the cluster died ({str(error).splitlines()[0]})"
                            yield from (Answer(question.id, status="failed", reason=reason) for question in hand)
                        continue
                    if isinstance(found, VesaliusError):
                        raise found
                    idle.append(worker)
                    yield from found
        finally:
            for worker in (*idle, *(entry[0] for entry in running.values())):
                ray.kill(worker)
            ray.shutdown()  # a driver that stays connected dies with its cluster

    def close(self) -> None:
        """Gives back what the copy here holds."""
        self._here.close()

    def _deal(self, questions: Iterator[Question]) -> tuple[list[Question], int] | None:
        hand = list(islice(questions, self._hand))
        return (hand, 1) if hand else None


class _Copy:
    """In a worker: the model, opened once."""

    def __init__(self, url: str, defaults: dict[str, Any]):
        self._given = (url, defaults)
        self._model: Model | None = None

    def answer(self, questions: list[Question]) -> list[Answer] | VesaliusError:
        """All answers; an error is returned, since Ray wraps what is raised."""
        try:
            self._model = self._model or open_model(self._given[0], **self._given[1])
            return list(self._model.answer(questions))
        except VesaliusError as error:
            return error
