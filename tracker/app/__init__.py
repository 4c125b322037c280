"""Assembly: the only room that sees the settings. A `Config` and sources in, running sessions out.

Every other room gets the plain values that it needs.
"""
