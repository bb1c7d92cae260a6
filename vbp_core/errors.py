"""Errors that a user can cause. Each message is one sentence: what, where, what to do."""


class VbpError(Exception):
    """Base of every error whose message is meant for the user, shown without a traceback."""


class DriveError(VbpError):
    """A recording, or a part of one, cannot be read. The message names the file and what is accepted."""


class NeedsAngleUnitError(DriveError):
    """A steering column states no unit. The caller asks the user and opens again with `angle_unit`."""


class SeveralError(DriveError):
    """A folder holds several recordings, which the message names: nothing is wrong with them, one is to be opened."""


class FrameError(DriveError):
    """One frame of a good drive cannot be shown (a gap): the drive around it works."""


class ModelError(VbpError):
    """A checkpoint cannot be used: not ours, another network, damaged, or a pickle."""


class SizeUnknownError(ModelError):
    """A network takes pictures of any size, and nobody has said which. sizes: (channels, height, width), None for any."""

    def __init__(self, text: str, sizes: tuple[int | None, ...] = (None, None, None)) -> None:
        super().__init__(text)
        self.sizes = sizes


class DeviceError(VbpError):
    """A graphics card fails: its memory is full, or it answers no more. Another device can do the same."""


class ExplainError(VbpError):
    """A method cannot explain this network. The message names the layer and why."""


class OpaqueLayerError(ExplainError):
    """A method has to pass a layer that can be run alone. layer: its name and what it is."""

    def __init__(self, layer: str, method: str = "this method") -> None:
        super().__init__(f"layer {layer} can be run, but not explained, and {method} has to pass it")
        self.layer = layer
