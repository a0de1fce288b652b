iffy = notx = inner = isa = ord = andy = forx = importx = 1
from .imports import asx
