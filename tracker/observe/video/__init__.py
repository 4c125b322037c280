"""The video of a turn: frames in, the speaker's face features out, or why there are none.

`watcher` brings the frames of a file or camera; `recorder` decodes each as a recording would and records it; `reader`
finds, follows and reads its faces (`tracks`); `buffer` keeps the results until their turn is observed; `faces` chooses
the speaker's face. No image leaves `reader` but to the recording.
"""
