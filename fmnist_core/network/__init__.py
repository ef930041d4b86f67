"""The network in NumPy: forward and backward pass, their measures, and theory. No TensorFlow."""
