"""The faces of a turn: pictures in, the speaker's face features out, or why there are none.

`look` finds, follows and reads the faces of one picture (a `Glimpse`); `sight` keeps what was seen until its turn has
come; `choose` and `book` say whose face is the speaker's; `watch` brings the pictures. No picture leaves `look`.
"""
