"""Changes made to a picture to see what a network makes of it: plain data, and the one function that makes them."""

from vbp.edits.apply import apply as apply
from vbp.edits.edit import Adjust as Adjust
from vbp.edits.edit import Box as Box
from vbp.edits.edit import Edits as Edits
from vbp.edits.edit import Erase as Erase
from vbp.edits.edit import Pixels as Pixels
from vbp.edits.edit import Stroke as Stroke
