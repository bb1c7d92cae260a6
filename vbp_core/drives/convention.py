"""Which unit and sign a recording's steering has: what the format states, unless the user says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vbp.drives.base import DriveInfo, OpenOptions
from vbp.drives.labels import sign_factor, to_wheel_radians, unit_scale

BY_USER = "given by the user"


@dataclass(frozen=True)
class Convention:
    """unit: "rad", "deg" or "unit:DEGREES". sign: the side that is positive. source: where both are known from."""

    unit: str
    sign: str
    source: str

    def overruled_by(self, options: OpenOptions) -> Convention:
        """The user's word counts more than the format's. Raises DriveError for an unknown unit or sign."""
        unit, sign = options.angle_unit or self.unit, options.angle_sign or self.sign
        unit_scale(unit)
        sign_factor(sign)
        if unit == "unit":
            unit = "unit:25"
        if options.angle_unit and options.angle_sign:
            source = BY_USER
        elif options.angle_unit:
            source = f"unit {BY_USER}; sign: {self.source}"
        elif options.angle_sign:
            source = f"sign {BY_USER}; unit: {self.source}"
        else:
            source = self.source
        return Convention(unit, sign, source)

    def radians(self, values: ArrayLike) -> NDArray[np.float64]:
        """Values of the file -> steering wheel angle in radians, left positive."""
        return to_wheel_radians(values, self.unit, self.sign) + 0.0  # -0.0 would be shown with its sign

    def note_in(self, info: DriveInfo) -> None:
        info.angle_unit, info.angle_sign, info.angle_source = self.unit, self.sign, self.source
