"""What the palette cannot say: flat bars and buttons, thin scroll bars, quiet dock titles."""

from __future__ import annotations

from pathlib import Path

from vbp.app.theme.colours import Colours


def stylesheet(c: Colours, icons: Path) -> str:
    """The application's style sheet; `icons` holds the few pictures that it names.

    Panels are not animated: Qt leaves one that is docked for the second time where it floated.
    """
    names = {
        k: getattr(c, k).name() for k in ("window", "panel", "raised", "border", "text", "muted", "accent")
    }
    hover = c.raised.lighter(118) if c.dark else c.raised.darker(105)
    faint = c.muted.darker(150) if c.dark else c.muted.lighter(155)
    grips = {"across": _grip("x2: 1, y2: 0", c), "along": _grip("x2: 0, y2: 1", c)}
    return _SHEET.format(**names, **grips, hover=hover.name(), faint=faint.name(), icons=icons.as_posix())


def _grip(end: str, c: Colours) -> str:
    """The middle of the line between two panels, where it asks to be dragged."""
    window, grip = c.window.name(), c.border.name()
    stops = f"stop: 0.39 {window}, stop: 0.4 {grip}, stop: 0.6 {grip}, stop: 0.61 {window}"
    return f"background: qlineargradient(x1: 0, y1: 0, {end}, {stops});"


_SHEET = """
QToolTip {{ background: {raised}; color: {text}; border: 1px solid {border}; padding: 4px 6px; }}
QMainWindow::separator {{ width: 5px; height: 5px; }}
QMainWindow::separator:horizontal {{ {across} }}
QMainWindow::separator:vertical {{ {along} }}
QMainWindow::separator:hover {{ background: {accent}; }}
QDockWidget {{ color: {muted}; widget-animation-duration: 0; }}
QMainWindow > QTabBar {{ qproperty-elideMode: ElideNone; qproperty-usesScrollButtons: true; }}
QTabBar QToolButton {{ background: {raised}; padding: 0; }}
QTabBar::tab {{
    background: transparent; color: {muted}; padding: 5px 10px; border: none;
    border-bottom: 2px solid transparent;
}}
QTabBar::tab:selected {{ color: {text}; border-bottom-color: {accent}; }}
QTabBar::tab:hover {{ color: {text}; }}
QToolBar {{ background: {window}; border: none; padding: 3px 6px; spacing: 3px; }}
QToolBar::separator {{ background: {border}; width: 1px; margin: 5px 6px; }}
QToolButton {{ background: transparent; border: 1px solid transparent; border-radius: 4px; padding: 4px; }}
QToolButton:hover {{ background: {hover}; }}
QToolButton:checked {{ background: {raised}; border-color: {accent}; }}
QToolButton:pressed {{ background: {border}; }}
QToolButton:focus {{ border-color: {accent}; }}
QToolBarExtension {{ qproperty-icon: url("{icons}/more.svg"); padding: 1px; min-width: 16px; }}
QPushButton {{
    background: {raised}; border: 1px solid {border}; border-radius: 4px; padding: 5px 14px; color: {text};
}}
QPushButton:hover {{ background: {hover}; }}
QPushButton:pressed {{ background: {border}; }}
QPushButton:focus, QPushButton:default {{ border-color: {accent}; }}
QPushButton:disabled {{ color: {faint}; background: {window}; }}
QComboBox {{
    background: {raised}; border: 1px solid {border}; border-radius: 4px; padding: 3px 6px 3px 8px; color: {text};
}}
QComboBox:hover {{ background: {hover}; }}
QComboBox:focus {{ border-color: {accent}; }}
QComboBox:disabled {{ color: {faint}; background: {window}; }}
QComboBox::drop-down {{ border: none; width: 18px; }}
QComboBox::down-arrow {{ image: url("{icons}/combo-down.svg"); width: 14px; height: 14px; }}
QComboBox QAbstractItemView {{ background: {panel}; border: 1px solid {border}; padding: 3px; outline: none; }}
QAbstractSpinBox, QLineEdit {{
    background: {raised}; border: 1px solid {border}; border-radius: 4px; padding: 3px 6px; color: {text};
}}
QAbstractSpinBox {{ padding: 1px 6px; }}
QAbstractSpinBox:focus, QLineEdit:focus {{ border-color: {accent}; }}
QAbstractSpinBox:disabled, QLineEdit:disabled {{ color: {faint}; background: {window}; }}
QComboBox QLineEdit, QAbstractSpinBox QLineEdit {{ background: transparent; border: none; padding: 0; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QSlider {{ border: 1px solid transparent; border-radius: 4px; }}
QSlider:focus {{ border-color: {accent}; }}
QSlider::groove:horizontal {{ background: {border}; height: 4px; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {accent}; border-radius: 2px; }}
QSlider::sub-page:horizontal:disabled {{ background: {border}; }}
QSlider::handle:horizontal {{
    background: {text}; border: none; width: 12px; height: 12px; margin: -4px 0; border-radius: 6px;
}}
QSlider::handle:horizontal:disabled {{ background: {faint}; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle {{ background: {border}; border-radius: 3px; margin: 2px; min-height: 24px; min-width: 24px; }}
QScrollBar::handle:hover {{ background: {muted}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QAbstractScrollArea::corner {{ background: transparent; border: none; }}
FindingRows QHeaderView::section, FleetRows QHeaderView::section, NotesTable QHeaderView::section {{
    background: {raised}; color: {muted}; border: none; border-bottom: 1px solid {border}; padding: 2px 4px;
}}
FindingRows::item, FleetRows::item, NotesTable::item {{ padding: 0 3px; }}
QStatusBar {{ background: {window}; color: {muted}; }}
QStatusBar::item {{ border: none; }}
QMenuBar {{ background: {window}; }}
QMenu {{ background: {panel}; border: 1px solid {border}; padding: 4px; }}
QMenu::item {{ padding: 5px 24px 5px 10px; border-radius: 3px; }}
QMenu::item:selected {{ background: {hover}; color: {text}; }}
QMenu::item:disabled {{ color: {faint}; }}
QMenu::icon {{ padding-left: 6px; }}
QMenu::separator {{ height: 1px; background: {border}; margin: 4px 8px; }}
"""
