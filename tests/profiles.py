"""Hypothesis' profiles, chosen by the environment variable `HYPOTHESIS_PROFILE`."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

# No deadline: the first example of a kernel pays for its compilation.
COMMON: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=100, **COMMON)
settings.register_profile("ci", max_examples=300, derandomize=True, **COMMON)
settings.register_profile("nightly", max_examples=20_000, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

NIGHTLY = settings.get_profile("nightly")
