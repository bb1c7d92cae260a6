"""The small picture at the beginning of a table's row."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import QAbstractItemView, QStyledItemDelegate, QStyleOptionViewItem

SHAPE = 4 / 3  # of the room for a picture, which keeps its own


class RowPicture(QStyledItemDelegate):
    """Asked for when a row is painted: the rows keep no pictures. picture_of: of a row, None while there is none."""

    def __init__(
        self, view: QAbstractItemView, height: int, picture_of: Callable[[int], QPixmap | None]
    ) -> None:
        super().__init__(view)
        self._size, self._picture_of = QSize(round(height * SHAPE), height), picture_of

    def initStyleOption(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().initStyleOption(option, index)
        picture = self._picture_of(index.row())
        option.features |= QStyleOptionViewItem.ViewItemFeature.HasDecoration
        # Also where there is none, so that the words stand below each other.
        option.decorationSize = self._size
        icon = QIcon()
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # in its own colours
            icon.addPixmap(picture or QPixmap(), mode)
        option.icon = icon
