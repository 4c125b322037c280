"""MSE-Adapter as published: feature sequences and the text's embeddings in, pseudo tokens for the LLM out.

Yang et al., "MSE-Adapter: A Lightweight Plugin Endowing LLMs with the Capability to Perform Multimodal Sentiment
Analysis and Emotion Recognition", AAAI 2025, arXiv 2502.12478. Letters in all files: ``b`` turns, ``time`` frames,
``words`` tokens of the text, ``d`` the LLM's width, ``n`` pseudo tokens; 256 is the paper's common width.
"""
