"""A recorded session in the formats of other programs: a `Conversation` in, text or bytes out, one file per format.

`conversation` reads the events once; `vtt`, `srt`, `rttm`, `table` (CSV), `parquet`, `emotionml` and `eaf` each write
one format and touch nothing else; `write` is what the command line calls. Names and words are untrusted: each format
escapes them by its own rules.
"""
