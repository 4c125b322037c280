"""Frozen LLMs that read the words: text in, hidden states of the lower layers and a key/value cache out.

No weight here is ever trained. Nothing here knows a voice, a face or an emotion.
"""
