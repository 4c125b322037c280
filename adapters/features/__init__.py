"""Feature extractors: 16 kHz samples or cropped grey faces in, named and versioned feature sequences out.

The same code runs live and in training. Nothing here knows a classifier, a dialogue or a device.
"""
