"""The streaming half: microphones, cameras and files in, one event per speaker turn out.

Read `tracker/pipeline.py` first: it is the whole path on one page, and the folders are its steps.
"""
