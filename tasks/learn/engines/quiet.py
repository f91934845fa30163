"""Keep OpenVINO and NNCF from sending statistics, printing to stdout or changing the logging configuration."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Disable telemetry, stdout and logging changes around imports, conversion and quantisation.

    Both libraries send usage statistics when imported, through an optional package; hiding that package disables it. Conversion sets the
    root logger to ERROR; NNCF replaces the logger class and logs to stdout, which is reserved for a step's result.
    """
    # A None entry makes Python treat the module as not importable.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    root = logging.getLogger()
    level, filters, handlers = root.level, list(root.filters), list(root.handlers)
    logger_class = logging.getLoggerClass()
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            # Shapes are fixed, so values that tracing treats as constants are constant; the parity check would catch an error.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            # OpenVINO still converts through an API that torch has deprecated.
            warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
            yield
    finally:
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers
        logging.setLoggerClass(logger_class)
