"""The topics of a recording over all of its files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vbp.drives.message_file import MessageFile
from vbp.drives.ros_messages import Topic, TopicReader, short_type

DERIVED = "/vbp/"  # topics that vbp exported beside the camera's: masks, and pictures with masks

_SIDE = re.compile(r"(?:^|/)(center|left|right)_camera(?:/|$)")
_LISTED = 20


@dataclass
class Stream:
    """One topic over all files: its readers by file and channel, and its messages where counted."""

    name: str
    readers: dict[tuple[int, int], TopicReader] = field(default_factory=dict)
    count: int = 0

    @property
    def first(self) -> TopicReader:
        return next(iter(self.readers.values()))

    @property
    def camera(self) -> str:
        """Name of the camera: its side, or its topic without the transport."""
        side = _SIDE.search(self.name)
        return side.group(1) if side else self.name.removesuffix("/compressed")


def find_streams(files: Sequence[MessageFile]) -> dict[str, Stream]:
    """Topics over all files. Readers are shared where the definition is the same: making one takes time."""
    made: dict[Topic, TopicReader] = {}
    out: dict[str, Stream] = {}
    for number, file in enumerate(files):
        for channel, topic in file.topics.items():
            if topic not in made:
                made[topic] = TopicReader(topic)
            stream = out.setdefault(topic.name, Stream(topic.name))
            stream.readers[number, channel] = made[topic]
            stream.count += file.counts.get(channel, 0)
    return out


def listed(streams: Iterable[Stream]) -> str:
    names = [f"{s.name} ({short_type(s.first.topic.msgtype)})" for s in streams]
    if not names:
        return "none"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(sorted(names)[:_LISTED]) + more
