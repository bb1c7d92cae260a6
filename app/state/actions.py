"""The one table of what the window can do: menus, toolbar, keys, tooltips and the page of keys come from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence

from vbp.app import theme


@dataclass(frozen=True)
class ActionSpec:
    """`slot` names a method of one of the window's objects; `argument` is passed to it where given.

    group: the menu and the heading on the page of keys. A checkable action passes its state.
    """

    id: str
    group: str
    text: str
    keys: tuple[str, ...]
    slot: str
    argument: int | str | None = None
    tip: str = ""
    icon: str = ""
    checkable: bool = False


FURTHER = "The attribution map of another method, of the same prediction"
# The panels that can be shown and hidden, in the order of their number keys: id, title, what it is for.
PANELS: tuple[tuple[str, str, str], ...] = (
    ("visualbackprop", "VisualBackProp", "The network's input with the VisualBackProp mask"),
    ("lrp", "LRP", "Layer-wise relevance propagation of the same prediction"),
    ("steering", "Steering", "Driven and predicted wheel angle, error and speed"),
    ("layers", "Layers", "Averaged feature maps and intermediate masks, layer by layer"),
    ("compare", "Compare", "The frame before and this one, with masks and errors"),
    ("angle", "Angle and error", "Driven and predicted angle over the drive"),
    ("info", "Drive", "The recording's contents, and what was assumed about it"),
    (
        "run",
        "Training run",
        "The current frame at each checkpoint of a training run, and the error over the epochs",
    ),
    (
        "evidence",
        "Evidence",
        "Tests of the current maps' faithfulness: deletion, random fully connected layers, phi and LRP",
    ),
    ("method-2", "Method 2", FURTHER),
    ("method-3", "Method 3", FURTHER),
    ("method-4", "Method 4", FURTHER),
    ("method-5", "Method 5", FURTHER),
    ("method-6", "Method 6", FURTHER),
    ("findings", "Findings", "The moments of the drive that are worth looking at, the heaviest first"),
    (
        "second",
        "Second network",
        "The mask of a second network beside the first one's, and by how much their angles differ",
    ),
    ("notes", "Notes", "Bookmarks, and what you noted on frames and parts of the drive"),
    ("edits", "Erase and watch", "Erase or change something in the picture, and watch the prediction"),
    ("spec", "Specification", "What the network gets of a picture, and what its output means"),
    (
        "fleet",
        "Fleet",
        "The findings of all drives that vbp index went through, and errors by speed and curvature",
    ),
)

ROW_CHARACTERS = 36  # of the page of keys; a longer tip gives way to the menu's text

A = ActionSpec
# fmt: off
ACTIONS: tuple[ActionSpec, ...] = (
    A("open", "File", "&Open…", ("O", "Ctrl+O"), "source.ask_open",
      tip="Open a recording: a file or a folder", icon="open"),
    A("reading", "File", "&How it is read…", ("Ctrl+I",), "source.ask_reading",
      tip="Camera, steering, unit, rate and speed"),
    A("camera", "File", "Open &camera…", ("C",), "camera.choose", tip="Watch a camera live", icon="camera"),
    A("open-network", "File", "Open &network file…", ("Ctrl+N",), "network.open_file"),
    A("compare-with", "File", "Compare &with…", ("Ctrl+K",), "second.choose",
      tip="Run a second network beside this one"),
    A("stop-comparing", "File", "S&top comparing", (), "second.stop"),
    A("edit-spec", "File", "Edit &specification…", ("Ctrl+Shift+N",), "spec.edit",
      tip="What the network gets of a picture"),
    A("open-run", "File", "Open &training run…", ("T", "Ctrl+T"), "run.choose",
      tip="Step through a run's checkpoints"),
    A("open-fleet", "File", "Open &fleet…", ("Ctrl+Shift+O",), "fleet.ask_open",
      tip="The findings of all drives of vbp index"),
    A("close-fleet", "File", "Close f&leet", (), "fleet.close"),
    A("open-session", "File", "Open &session…", ("Ctrl+Alt+O",), "session.ask_open"),
    A("save-session", "File", "S&ave session…", ("Ctrl+S",), "session.ask_save",
      tip="Save what is open to a file"),
    A("read-notes", "File", "Rea&d notes from a table…", (), "notes.ask_read"),
    A("write-notes", "File", "Save notes as a ta&ble…", (), "notes.ask_save"),
    A("report-notes", "File", "Report of the notes (HTM&L)…", (), "notes.ask_report",
      tip="The notes with their pictures as a page"),
    A("export", "File", "&Export…", ("Ctrl+E",), "export.ask", tip="Export a clip, or numbers",
      icon="export"),
    A("close-drive", "File", "&Close drive", ("Ctrl+W",), "source.close_drive"),
    A("quit", "File", "&Quit", ("Ctrl+Q",), "close"),
    A("play", "Playback", "&Play", ("Space", "K"), "playback.toggle", tip="Play or pause; live: freeze",
      icon="play"),
    A("back", "Playback", "Step &back", ("Left", ","), "playback.step", -1, "One frame back", "step-back"),
    A("forward", "Playback", "Step &forward", ("Right", "."), "playback.step", 1, "One frame forward",
      "step-forward"),
    A("back-10", "Playback", "10 frames back", ("Shift+Left", "J"), "playback.step", -10),
    A("forward-10", "Playback", "10 frames forward", ("Shift+Right",), "playback.step", 10),
    A("back-s", "Playback", "One second back", ("Ctrl+Left",), "playback.step_time", -1000),
    A("forward-s", "Playback", "One second forward", ("Ctrl+Right",), "playback.step_time", 1000),
    A("back-half", "Playback", "Half a second back", ("Alt+Left",), "playback.step_time", -500),
    A("forward-half", "Playback", "Half a second forward", ("Alt+Right",), "playback.step_time", 500),
    A("go-to", "Playback", "&Go to…", ("Ctrl+G",), "playback.ask_place", tip="Go to a frame or a time"),
    A("first", "Playback", "First frame", ("Home",), "playback.go_first", tip="Go to the first frame",
      icon="to-start"),
    A("last", "Playback", "Last frame", ("End",), "playback.go_last", tip="Go to the last frame",
      icon="to-end"),
    A("faster", "Playback", "Faster", ("+", "="), "playback.change_speed", 1),
    A("slower", "Playback", "Slower", ("-",), "playback.change_speed", -1),
    A("normal", "Playback", "Normal speed", ("0",), "playback.normal_speed"),
    A("realtime", "Playback", "&Real time", ("R",), "playback.set_realtime",
      tip="Play in real time, skipping frames where needed; off: show every frame", icon="skip",
      checkable=True),
    A("loop", "Playback", "&Loop", ("L",), "playback.set_looping",
      tip="Repeat the part between A and B, or the whole drive", icon="loop", checkable=True),
    A("record", "Camera", "&Record", ("Ctrl+R",), "record.toggle", tip="Record the camera, or stop",
      icon="record", checkable=True),
    A("snapshot", "Camera", "&Snapshot", ("Ctrl+Shift+S",), "snapshot.take",
      tip="Save the picture with its mask", icon="snapshot"),
    A("crop", "Camera", "Set the network's &crop", ("Shift+C",), "crop.begin", tip="Draw the network's crop",
      icon="crop"),
    A("mark-a", "Marks", "Set &A here", ("[",), "playback.mark_a",
      tip="The part to repeat starts at this frame", icon="mark-a"),
    A("mark-b", "Marks", "Set &B here", ("]",), "playback.mark_b",
      tip="The part to repeat ends at this frame", icon="mark-b"),
    A("clear-marks", "Marks", "&Clear A and B", ("\\",), "playback.clear_marks"),
    A("bookmark", "Marks", "&Bookmark this frame", ("B",), "notes.toggle",
      tip="Set or remove a bookmark at this frame", icon="bookmark"),
    A("write-note", "Marks", "&Write a note here", ("Shift+B",), "notes.write",
      tip="Write a note on this frame"),
    A("note-range", "Marks", "Note from A &to B", ("Ctrl+B",), "notes.write_range",
      tip="Write a note on the part A to B"),
    A("undo-note", "Marks", "&Undo the change of notes", ("Ctrl+Z",), "marks.undo"),
    A("redo-note", "Marks", "Re&do the change of notes", ("Ctrl+Shift+Z",), "marks.redo"),
    A("next-bookmark", "Marks", "&Next note", ("N",), "notes.go", 1, "Go to the next note or bookmark"),
    A("previous-bookmark", "Marks", "&Previous note", ("Shift+N",), "notes.go", -1),
    A("next-finding", "Marks", "Next &finding", ("D",), "fleet.go", 1,
      "Show the peak of the next finding, of a fleet in the next drive; playing begins 2 s before it"),
    A("previous-finding", "Marks", "Previous f&inding", ("Shift+D",), "fleet.go", -1),
    A("next-difference", "Marks", "Next largest di&fference", ("Ctrl+D",), "differences.go", 1,
      "Go to where two networks differ most; again: to where they differ next most"),
    A("previous-difference", "Marks", "Previous largest difference", ("Ctrl+Shift+D",), "differences.go", -1),
    A("worst", "Marks", "Go to the largest &error", ("E",), "playback.go_worst",
      tip="Go to the largest error of the frames predicted so far"),
    A("next-wrong", "Marks", "Next w&rong class", ("Shift+E",), "playback.go_wrong",
      tip="Go to the next frame to which a classifier gives another class than the true one"),
    A("predict", "Analysis", "&Predict the whole drive", ("P",), "playback.toggle_predict",
      tip="Predict every frame in the background, so that the plot is complete; again: stop",
      checkable=True),
    A("forget-kept", "Analysis", "Forget &kept predictions", (), "kept.forget_all",
      tip="Remove the predictions that are kept on this computer, of all drives"),
    A("undo-edit", "Analysis", "&Undo the edit", (), "edits.undo",
      tip="Erase and watch: one step back (Ctrl+Z there)"),
    A("redo-edit", "Analysis", "&Redo the edit", (), "edits.redo",
      tip="Erase and watch: one step forth (Ctrl+Shift+Z there)"),
    A("overlay", "View", "Show the &mask", ("M",), "view.set_mask_shown", checkable=True,
      tip="Show the mask over the picture"),
    A("style", "View", "Next overlay &style", ("S",), "view.next_style",
      tip="Next overlay style: the paper's red, or a heat map"),
    A("fade", "View", "F&ade weak masks", ("W",), "view.set_faded", checkable=True,
      tip="Fade masks weaker than this drive's usual: nothing was seen there (black, grey, night)"),
    A("fixed", "View", "F&ixed scale", ("Shift+S",), "view.set_fixed", checkable=True,
      tip="VisualBackProp on one scale, so that frames can be compared: full red is this drive's median"),
    A("overlay-options", "View", "&Overlay…", ("Ctrl+M",), "view.show_overlay_menu",
      tip="Threshold, gamma, outline, background, smoothing of the mask"),
    A("stronger", "View", "More opaque mask", ("Up",), "view.change_opacity", 10),
    A("weaker", "View", "More transparent mask", ("Down",), "view.change_opacity", -10),
    A("full-screen", "View", "&Full screen", ("F11", "F"), "view.toggle_full_screen", icon="fit"),
    A("reset-layout", "View", "&Reset layout", ("Ctrl+Shift+R",), "view.reset_layout",
      tip="Move all panels back to their places"),
    *(
        A(
            f"panel-{name}",
            "Panels",
            title,
            (str(k),) * (k < 10),
            "view.toggle_panel",
            name,
            tip,
            checkable=True,
        )
        for k, (name, title, tip) in enumerate(PANELS, 1)
    ),
    A("add-method", "Panels", "Show one more &method", ("Shift+M",), "view.add_method"),
    A("keys", "Help", "&Keys", ("F1", "?"), "view.show_keys", tip="All keys on one page", icon="keys"),
)
# fmt: on
GROUPS = tuple(dict.fromkeys(spec.group for spec in ACTIONS))


def build_actions(parent: QObject) -> dict[str, QAction]:
    """The actions, which do nothing yet."""
    actions = {}
    for spec in ACTIONS:
        action = QAction(spec.text, parent)
        action.setObjectName(spec.id)
        action.setShortcuts([QKeySequence(k) for k in spec.keys])
        action.setCheckable(spec.checkable)
        action.setToolTip(tooltip(spec))
        action.setStatusTip("")
        if spec.icon:
            theme.set_icon(action, spec.icon)
        actions[spec.id] = action
    return actions


def connect_actions(actions: dict[str, QAction], owner: object) -> None:
    """Let each action call the method that the table names, of an object that `owner` has."""
    for spec in ACTIONS:
        actions[spec.id].triggered.connect(_caller(attrgetter(spec.slot)(owner), spec))


def _caller(method: Callable[..., object], spec: ActionSpec) -> Callable[[bool], None]:
    def call(checked: bool = False) -> None:
        arguments = [] if spec.argument is None else [spec.argument]
        method(*arguments, *([checked] if spec.checkable else []))

    return call


def tooltip(spec: ActionSpec) -> str:
    keys = " or ".join(shown_key(k) for k in spec.keys)
    return f"{spec.tip or plain(spec.text)} ({keys})" if keys else spec.tip or plain(spec.text)


def plain(text: str) -> str:
    """A menu's text without its access key and dots."""
    return text.replace("&", "").rstrip("…")


def shown_key(key: str) -> str:
    arrows = {"Left": "←", "Right": "→", "Up": "↑", "Down": "↓"}
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    return "+".join([*modifiers, arrows.get(last, last)])


def keys_table() -> list[tuple[str, str, str]]:
    """(group, text, keys) for the page of keys; several keys of one action are parted by ", "."""
    return [(s.group, _row_text(s), ", ".join(shown_key(k) for k in s.keys)) for s in ACTIONS]


def _row_text(spec: ActionSpec) -> str:
    return spec.tip if 0 < len(spec.tip) <= ROW_CHARACTERS else plain(spec.text)
