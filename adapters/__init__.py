"""The learned half: words and feature arrays of a turn in, emotion probabilities out.

`contract` and `recogniser` are all that the tracker sees. Nothing here knows a device, a queue, a clock, or the
`tracker` package.
"""

import os

# Dependencies report to nobody. ONNX Runtime does so by default from its import on, and leaves a device id in the
# user's cache; a value that the user has set stays.
for _name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ.setdefault(_name, "1")
