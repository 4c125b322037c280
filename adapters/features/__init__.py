"""Media in, feature sequences out: one extractor per modality, the same in training and live use."""
