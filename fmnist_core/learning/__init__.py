"""Networks, their compiled training and their diagnostics: the one floor that imports TensorFlow and Keras.

What other projects have set for them in this environment must neither break nor change a training: the backend, Keras'
configuration file, XLA's options, and whether a GPU is used are ours.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from fmnist_core.settings import replaced, settings

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# Keras' configuration file may name types and formats of other projects, even such as stop the import.
NO_FOLDER = f"{os.devnull}/keras"
KERAS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")
XLA = ("TF_XLA_FLAGS", "XLA_FLAGS")  # an unknown option in them ends the process


@contextmanager
def _quiet() -> Iterator[None]:
    """Standard error goes nowhere for a moment.

    TensorFlow reports at length that there is no GPU, in a way that no setting reaches. Errors still are exceptions.
    """
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def prepare(gpu: bool) -> None:
    """Set the environment that TensorFlow and Keras read when they are imported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    for name in KERAS if gpu else (*KERAS, *XLA):
        os.environ.pop(name, None)
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(settings().cores))  # TensorFlow knows no quotas
    if not gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def _import(gpu: bool, quietly: bool) -> None:
    import keras
    import tensorflow

    if quietly:  # it warns of each new network's program, taking it for the old one's again
        tensorflow.get_logger().setLevel("ERROR")

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    gpus = tensorflow.config.list_physical_devices("GPU")
    with suppress(RuntimeError):  # TensorFlow has begun already: in a test that uses it before it imports us
        if gpu:
            for device in gpus:  # else the first worker takes all of its memory
                tensorflow.config.experimental.set_memory_growth(device, True)
        else:
            tensorflow.config.set_visible_devices([], "GPU")


def devices() -> list[str]:
    """The kinds of processors that networks train on: "CPU", and "GPU" where FMNIST_GPU asks for one that is there."""
    import tensorflow

    return sorted({device.device_type for device in tensorflow.config.get_visible_devices()})


_gpu = settings().gpu
_quietly = os.environ.setdefault(LEVEL, "3") != "0"  # whoever wants to read TensorFlow's report sets it to 0
prepare(_gpu)
with replaced("KERAS_HOME", NO_FOLDER), _quiet() if _quietly else nullcontext():
    _import(_gpu, _quietly)
