"""The learned half: words and feature arrays of a turn in, emotion probabilities out.

`contract` and `recogniser` are all that the tracker sees. Nothing here knows a device, a queue, a clock, or the
`tracker` package.
"""
