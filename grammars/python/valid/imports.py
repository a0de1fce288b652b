from ... import a
from .b import (c, d as e,)
import f.g as h, i
