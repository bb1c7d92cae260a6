"""Work inside a library that cannot be interrupted, as libav's on a damaged file, which may take minutes or for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from vbp.errors import DriveError

if TYPE_CHECKING:
    from av import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

T = TypeVar("T")

DECODING_S = 10.0  # of a processor, for one packet: more than any picture of MAX_PIXELS takes
NEVER_DECODED = "libav does not come to an end with its data"
_LOOK_EVERY_S = 0.02
_WALL_PER_CPU = 5  # where a thread's own time is not known, others may have had that much of the processor

_given_up: ContextVar[Callable[[], bool]] = ContextVar("given_up", default=lambda: False)


@contextmanager
def unless(given_up: Callable[[], bool]) -> Iterator[None]:
    """What is opened or decoded meanwhile, in this thread, is given up with a DriveError as soon as `given_up()` is true."""
    token = _given_up.set(given_up)
    try:
        yield
    finally:
        _given_up.reset(token)


def check_wanted() -> None:
    """Between two steps of long work. Raises DriveError where it was given up, see `unless`."""
    if _given_up.get()():
        raise DriveError("it was given up")


def decode_packet(codec: VideoCodecContext, packet: Packet[Any] | None) -> list[VideoFrame]:
    """What libav makes of one packet, or at the end, for None, has held back."""
    return codec.decode(packet)


class Helper:
    """A thread for work that may never end; it is there from the first work on."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] | None = None
        self._clock: list[int] = []

    def run(self, cpu_s: float, work: Callable[[], T], sentence: str, reads: bool = True) -> T:
        """What `work` returns or raises. Once it has had `cpu_s` seconds of a processor it is left to itself, with its
        thread and all that it holds, and DriveError says `sentence`; so it is where the work was given up.
        reads: it waits for a disk, which takes no such time; where it does not, its waiting counts, too, as others may
        work for it."""
        done = threading.Event()
        result: list[T] = []
        errors: list[BaseException] = []
        began: list[float] = []
        context = copy_context()
        clock = self._clock = self._clock if self._jobs else []

        def run() -> None:
            began.append(_spent(clock))
            try:
                result.append(context.run(work))
            except BaseException as error:
                errors.append(error)
            finally:
                done.set()

        if self._jobs is None:
            self._jobs = SimpleQueue()
            arguments = (self._jobs, clock)
            self._thread = threading.Thread(target=_serve, args=arguments, name="vbp reads", daemon=True)
            self._thread.start()
        self._jobs.put(run)
        begin, looks = time.monotonic(), 0
        try:
            while not done.wait(_LOOK_EVERY_S):
                check_wanted()
                looks += 1
                spent = _spent(clock) - began[0] if clock and began else 0.0
                if not clock:
                    spent = (time.monotonic() - begin) / _WALL_PER_CPU
                elif not reads:
                    spent = max(spent, looks * _LOOK_EVERY_S / _WALL_PER_CPU)
                if spent > cpu_s and not done.is_set():
                    raise DriveError(sentence)
        except BaseException:
            self._leave()
            raise
        if errors:
            raise errors[0]
        return result[0]

    def close(self) -> None:
        """The thread ends."""
        if self._leave():
            self._thread.join()  # it has nothing to do

    def _leave(self) -> bool:
        """Let the thread end when its work does; False where there is none."""
        jobs, self._jobs = self._jobs, None
        if jobs is not None:
            jobs.put(None)
        return jobs is not None


def within(cpu_s: float, work: Callable[[], T], sentence: str) -> T:
    """`Helper.run` of a helper that is there for this alone."""
    helper = Helper()
    try:
        return helper.run(cpu_s, work, sentence)
    finally:
        helper.close()


def _serve(jobs: SimpleQueue[Callable[[], None] | None], clock: list[int]) -> None:
    if hasattr(time, "pthread_getcpuclockid"):
        clock.append(time.pthread_getcpuclockid(threading.get_ident()))
    while (job := jobs.get()) is not None:
        job()
        del job  # and with it the drive that it read of


def _spent(clock: list[int]) -> float:
    """Seconds of the processor that the thread of that clock had; 0 where it is not known."""
    try:
        return time.clock_gettime(clock[0]) if clock else 0.0
    except OSError:  # the thread has just ended
        return 0.0
