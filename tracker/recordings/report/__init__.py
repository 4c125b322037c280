"""A recorded session as one HTML page that can be sent: nothing in it reaches for the network.

`summary` counts (pure); `plots` draws with matplotlib; `clips` cuts the audio; `page` fills in `page.html`, where
everything that comes from a session is escaped.
"""
