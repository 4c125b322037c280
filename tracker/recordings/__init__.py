"""Recorded sessions: events, audio and video to disk as they happen, and back again.

`format` names the files; `recorder`, `tracks` and `features` write them; `replay` publishes them again; `rerun` takes
them through the models again; `retention` removes what is old; `diff` compares two; `exports` and `report` write them
for other programs and people. Only this room touches session folders.
"""
