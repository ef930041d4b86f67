"""Networks, their compiled training and their diagnostics: the one floor that imports TensorFlow and Keras."""

import os

# TensorFlow reports at length that there is no GPU; whoever wants to read that sets the level.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
