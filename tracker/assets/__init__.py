"""Models and samples: what they are, where they come from, and that they are what they should be.

`manifest.toml` lists them all; `manifest.py` reads it, `store.py` keeps them in the user's cache, `fetch.py` gets
their files, `convert.py` turns some of them into the form that is loaded.
"""
