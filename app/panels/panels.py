"""All panels that the window shows."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

from vbp.app.panels.compare import ComparePanel
from vbp.app.panels.edits import EditPanel
from vbp.app.panels.evidence import EvidencePanel
from vbp.app.panels.findings import FindingsPanel
from vbp.app.panels.fleet import FleetPanel
from vbp.app.panels.info import InfoPanel
from vbp.app.panels.live_bar import LiveBar
from vbp.app.panels.live_plot import LivePlot
from vbp.app.panels.masked import MaskedView
from vbp.app.panels.method import MethodPanel
from vbp.app.panels.notes import NotesPanel
from vbp.app.panels.prediction import PredictionPanel
from vbp.app.panels.run import RunPanel
from vbp.app.panels.second import SecondPanel
from vbp.app.panels.spec import SpecPanel
from vbp.app.panels.status import StatusLine
from vbp.app.panels.transport import Transport
from vbp.app.widgets.layers import LayersView
from vbp.app.widgets.plot import AnglePlot
from vbp.app.widgets.wheel import SteeringView

# Each panel's name, and the method that it shows until another is chosen.
FIRST_METHODS = {
    "lrp": "lrp",
    "method-2": "guided-backprop",
    "method-3": "phi",
    "method-4": "saliency",
    "method-5": "fbi",
    "method-6": "lrp-composite",
}


@dataclass
class Panels:
    picture: MaskedView
    visualbackprop: MethodPanel
    methods: dict[str, MethodPanel]
    prediction: PredictionPanel
    layers: LayersView
    compare: ComparePanel
    angle: AnglePlot
    info: InfoPanel
    run: RunPanel
    evidence: EvidencePanel
    findings: FindingsPanel
    fleet: FleetPanel
    edits: EditPanel
    second: SecondPanel
    notes: NotesPanel
    spec: SpecPanel
    transport: Transport
    status: StatusLine
    live_plot: LivePlot  # stands in for the plot over the drive while a camera is on
    live_bar: LiveBar

    def masked(self) -> tuple[MaskedView, ...]:
        return self.picture, self.visualbackprop.view, *(panel.view for panel in self.methods.values())

    @property
    def steering(self) -> SteeringView:
        return self.prediction.steering

    @property
    def lrp(self) -> MethodPanel:
        """The first of the panels that show any method."""
        return self.methods["lrp"]

    def widget(self, name: str) -> QWidget:
        """What stands in the dock of that name."""
        if name == "steering":
            return self.prediction
        found: QWidget = self.methods[name] if name in self.methods else getattr(self, name)
        return found


def make_panels(actions: dict[str, QAction], picture: MaskedView) -> Panels:
    empty = "The attribution map of another method appears here"
    methods = {name: MethodPanel(name, empty, first, chooser=True) for name, first in FIRST_METHODS.items()}
    return Panels(
        picture=picture,
        visualbackprop=MethodPanel("visualbackprop", "The network's input with its mask appears here"),
        methods=methods,
        prediction=PredictionPanel(),
        layers=LayersView(),
        compare=ComparePanel(),
        angle=AnglePlot(),
        info=InfoPanel(),
        run=RunPanel(),
        evidence=EvidencePanel(),
        findings=FindingsPanel(),
        fleet=FleetPanel(),
        edits=EditPanel(),
        second=SecondPanel(),
        notes=NotesPanel(),
        spec=SpecPanel(),
        transport=Transport(actions),
        status=StatusLine(),
        live_plot=LivePlot(),
        live_bar=LiveBar(actions),
    )
