"""Networks: chosen, loaded, and what changes with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from vbp.app.control.methods import MethodPanels
from vbp.app.control.view import ViewControl
from vbp.app.panels.status import StatusLine
from vbp.app.panels.toolbar import TopBar
from vbp.app.player.messages import Choices, NetworkFailed, NetworkReady
from vbp.app.player.playback import Player
from vbp.app.state.settings import Settings
from vbp.app.widgets.notice import Notice
from vbp.models.formats import ALL_SUFFIXES
from vbp.models.source import NetworkSource

DEFAULT_NETWORK = "NetSVF"


class NetworkControl:
    """owned_by_run: whether a network is a checkpoint of the training run that is open."""

    def __init__(
        self,
        window: QWidget,
        player: Player,
        methods: MethodPanels,
        view: ViewControl,
        settings: Settings,
        notice: Notice,
        top: TopBar,
        status: StatusLine,
        owned_by_run: Callable[[str], bool],
    ) -> None:
        self._window, self._player, self._methods, self._view = window, player, methods, view
        self._settings, self._notice, self._top, self._status = settings, notice, top, status
        self._owned_by_run = owned_by_run
        player.choices.connect(self._on_choices)
        player.network_loading.connect(
            lambda name: status.set_device(f"loading {NetworkSource.parse(name).title} …")
        )
        player.network_ready.connect(self._on_ready)
        player.network_failed.connect(self._on_failed)
        top.network_chosen.connect(self.use)
        top.open_network_requested.connect(self.open_file)
        top.device_chosen.connect(self.use_device)
        top.target_chosen.connect(self._on_target)
        top.set_device(settings.text("device", "auto"))
        top.target.restore(settings.text("target/angle", "output"), settings.text("target/class", "class"))

    def use(self, name: str) -> None:
        self._notice.dismiss()  # what was wrong with the one before
        self._load(name)

    def _load(self, name: str) -> None:
        self._top.set_network(name)
        self._player.load_network(name, str(self._top.device.currentData() or "auto"))

    def start(self, name: str, device: str | None = None) -> None:
        """The first network; a device named on the command line is for this time only."""
        if device is not None:
            self._top.set_device(device)
        self._top.set_network(name)
        self._player.load_network(name, device or str(self._top.device.currentData() or "auto"))

    def use_device(self, name: str) -> None:
        self._notice.dismiss()
        self._top.set_device(name)
        self._settings.set("device", name)
        self._player.load_network(self._player.network_name or DEFAULT_NETWORK, name)

    def use_checkpoint(self, name: str) -> None:
        before = self._player.network_name
        self._load(name)
        if self._owned_by_run(before):
            self._top.forget_file(before)  # the list of networks holds the one in use, not all that were seen

    def bring_back(self, name: str) -> None:
        """A network that was in use with a recording. The user's own code is run only when they ask for it."""
        source = NetworkSource.parse(name)
        if source.is_factory:
            self._notice.show_message(
                f"{name} was in use here; it is your own code, which runs when you ask for it: vbp --model"
            )
        elif str(source.absolute()) != str(NetworkSource.parse(self._player.network_name).absolute()):
            self._load(name)

    def open_file(self) -> None:
        start = self._settings.last_folder("networks")
        name, _ = QFileDialog.getOpenFileName(
            self._window,
            "Open a network",
            start,
            f"Networks ({' '.join(f'*{suffix}' for suffix in ALL_SUFFIXES)});;All files (*)",
        )
        if name:
            self.open(Path(name))

    def open(self, path: Path) -> None:
        self.use(str(NetworkSource(str(path))))

    def _on_choices(self, choices: Choices) -> None:
        recent = self._settings.recent("networks")
        self._top.set_choices(choices, [p for p in recent if Path(NetworkSource.parse(p).model).is_file()])

    def _on_ready(self, ready: NetworkReady) -> None:
        spec = ready.network.spec
        self._top.set_network(ready.name)
        self._view.name_docks(spec.is_classifier)
        self._top.target.set_spec(spec)
        if text := " ".join(filter(None, (ready.network.assumed, ready.network.unused))):
            # The form that opens shows what is assumed, too.
            self._notice.show_message(text, "warning" if ready.network.unused else "info")
        self._view.arrange_maps(spec.input_width / spec.input_height)
        if self._owned_by_run(ready.name):
            return  # passed through on the way; the network that is remembered is the one before
        source = NetworkSource.parse(ready.name)
        if source.is_factory:
            return  # the user's own code is run when they ask for it, not because it was run before
        if Path(source.model).is_file():
            self._settings.add_recent(str(source.absolute()), "networks")
        self._settings.set("network", ready.name)

    def _on_failed(self, failed: NetworkFailed) -> None:
        self._notice.show_message(failed.text, "error")
        ready = self._player.ready
        source = NetworkSource.parse(failed.name)
        known = Path(source.model).is_file() and str(source.absolute()) in self._settings.recent("networks")
        if not known and (ready is None or failed.name != ready.name):
            self._top.forget_file(failed.name)
        if ready is not None:
            self._top.set_network(ready.name)
            self._status.set_device(ready.device_text)
        elif failed.name != DEFAULT_NETWORK and failed.draft is None:
            self._load(DEFAULT_NETWORK)
        else:
            self._status.set_device("no network")

    def show_target(self, target: str) -> None:
        """What the maps are to explain, of whichever network has that."""
        self._top.target.choose(target)

    def _on_target(self, target: str) -> None:
        self._methods.set_target(target)
        self._settings.set("target/class" if target.startswith("class") else "target/angle", target)
