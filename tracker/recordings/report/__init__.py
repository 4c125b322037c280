"""A recorded session as one HTML page that can be sent: nothing in it reaches for the network.

`summary` counts (pure); `plots` draws with matplotlib; `clips` cuts the audio; `page` writes it all down, and
everything that comes from a session is escaped there.
"""
