"""Step 2: `AudioChunk`s in, turns out: `TurnOpened` when somebody begins to speak, `Turn` when they have finished.

`voice.py` detects speech in frames of 20 ms, `segmenter.py` decides where turns begin and end (pure), and `segment.py`
runs both over the channels of a session and cuts out the audio. `activity.py` and `changes.py` find changes of speaker
without a pause; `completeness.py` and `endpoint.py` decide how long a pause may last, where that is adaptive.
"""
