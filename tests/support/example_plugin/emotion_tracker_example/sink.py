"""``[sinks.counts]`` in config.toml, with ``path = "counts.json"``: how often each emotion was heard."""

import json
from collections import Counter
from pathlib import Path

from tracker.errors import ConfigError, SinkError


class EmotionCounts:
    name = "counts"

    def __init__(self, settings):
        if set(settings) != {"path"}:
            raise ConfigError(f"sinks.counts: takes path and nothing else, not {sorted(settings)}")
        self._path = Path(settings["path"])

    async def run(self, events):
        counts = Counter()
        async for event in events:
            if event.type == "turn.ended":
                counts[event.emotion] += 1
        try:
            self._path.write_text(json.dumps(counts))
        except OSError as error:
            raise SinkError(f"{self._path}: cannot be written ({error.strerror})") from error
