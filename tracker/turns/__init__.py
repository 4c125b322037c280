"""Step 2: `AudioChunk`s in, turns out: `TurnOpened` when somebody begins to speak, `Turn` when they have finished.

`voice.py` says which 20 ms frames are speech, `segmenter.py` decides where turns begin and end (pure), and
`segment.py` runs both over the channels of a session and cuts out the audio. `activity.py` and `changes.py` see where
the floor passes without a pause; `complete.py` and `endpoint.py` say how long a pause may last, where that is adaptive.
"""
