"""The trained part: LLM states of the words, summaries of voice and face in, log probabilities of the emotions out.

Everything with learned weights is here. Modules take and return tensors; they load and save nothing.
"""
