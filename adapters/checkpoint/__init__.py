"""What is kept of a trained adapter: weights and a card in, a folder or a repository on the hub out, and back.

A folder is read only after its hashes, its keys and its card were checked. Nothing here trains.
"""
