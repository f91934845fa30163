"""OpenVINO and NNCF kept to themselves: no usage statistics, nothing on stdout, and logging as it was."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def kept_quiet() -> Iterator[None]:
    """Around every import of OpenVINO or NNCF, and around conversion and quantisation.

    Both send usage statistics when imported, by a package that they do without where it is missing, so it is made to look missing: nothing
    is sent or written. Converting sets the root logger to ERROR; NNCF makes its own class that of all loggers and logs to stdout, where a
    step's result belongs.
    """
    # Python's own way to say that a module cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    root = logging.getLogger()
    level, filters, handlers = root.level, list(root.filters), list(root.handlers)
    logger_class = logging.getLoggerClass()
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            # Shapes are fixed here, so what tracing takes for constants is constant; the parity check would tell.
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            # OpenVINO's to mend: it converts by what torch is about to drop.
            warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
            yield
    finally:
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers
        logging.setLoggerClass(logger_class)
