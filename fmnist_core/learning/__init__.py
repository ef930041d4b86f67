"""Networks, their compiled training and their diagnostics: the one floor that imports TensorFlow and Keras."""
