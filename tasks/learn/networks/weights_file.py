"""Read weights files from untrusted sources: without running code, and rejecting oversized files early."""

import io
import pickletools
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - the error that torch.load raises for a file that holds code
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tasks.errors import BadCheckpoint
from tasks.wording import size

UNREADABLE = (
    UnpicklingError,
    SafetensorError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
)
"""Errors that torch.load raises for damaged files, collected by trying thousands of them."""

MAX_PICKLE_BYTES = 32 << 20
"""Of the names and shapes of all tensors. 20,000 tensors take 3 MiB."""
NUM_PICKLES = 5
"""Of a file without an archive: its number, version, machine, content and keys. The tensors follow."""
PLAIN = re.compile(
    r"collections (OrderedDict|Counter)|__builtin__ (set|complex)|argparse Namespace|torch (Size|[a-z]\w*|\w*Storage)|torch\.storage \w*Storage|"
    r"torch\.serialization _get_layout|torch\._utils _rebuild_(tensor|tensor_v[23]|parameter|parameter_with_state|qtensor|sparse_tensor|nested_tensor|meta_tensor_no_storage)"
)
"""What a file may call. torch allows more, such as `bytearray`, which makes gigabytes of a kilobyte."""
OF_TENSORS = re.compile(r"torch\._utils _rebuild_")
"""Functions that make tensors of storages and tensors."""
MAX_REPEATED = 1 << 20
"""Parts of tuples that a file repeats. A tuple of ten references to such a tuple, ten levels deep, takes hours as a key of a dictionary."""


def read_weights(path: Path) -> dict[Any, Any]:
    """Read a file that must hold only weights.

    Raises:
        BadCheckpoint: the file is missing or damaged, would run code, or unpacks to more than its size.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                num_bytes = sum(entry.file_size for entry in archive.infolist())
            if num_bytes > path.stat().st_size:  # torch does not compress
                raise BadCheckpoint(f"{path}: it unpacks to {size(num_bytes)}, more than the file holds; download it again")
        for name in _called(path):
            if not PLAIN.fullmatch(name):
                raise UnpicklingError(f"GLOBAL {name.replace(' ', '.')}")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise BadCheckpoint(f"{path}: no such file") from None
    except UNREADABLE as error:
        blocked = re.search(r"(?:GLOBAL|class|global) ([\w.]+)", str(error))
        if isinstance(error, UnpicklingError) and blocked:
            raise BadCheckpoint(f"{path}: it holds code or objects ({blocked[1]}), not only weights; use the published file") from None
        raise BadCheckpoint(f"{path}: cannot be read as a checkpoint ({first_line(error)[:120]}); download it again") from None
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{path}: it holds a {type(content).__name__}, not a checkpoint")
    return content


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a file in the safetensors format.

    Raises:
        BadCheckpoint: the file is damaged.
    """
    try:
        return load_file(path)
    except UNREADABLE as error:
        raise BadCheckpoint(f"{path}: cannot be read as safetensors ({first_line(error)[:120]}); download it again") from None


def is_safetensors(path: Path) -> bool:
    """Check whether a file has the safetensors format: a length, then a JSON header."""
    with path.open("rb") as file:
        length, brace = file.read(8), file.read(1)
    return brace == b"{" and int.from_bytes(length, "little") < path.stat().st_size


def _called(path: Path) -> Iterator[str]:
    """Yield module and name of each call that unpickling would make, without unpickling."""
    with path.open("rb") as file:
        is_archive = file.read(4) == b"PK\x03\x04"  # as torch decides
        file.seek(0)
        # By the reader that torch loads with: archives can be built that two readers see differently.
        content = torch._C.PyTorchFileReader(file).get_record("data.pkl") if is_archive else file.read(MAX_PICKLE_BYTES)
    if len(content) > MAX_PICKLE_BYTES:
        raise ValueError(f"its names and shapes take more than {size(MAX_PICKLE_BYTES)}")
    pickles = io.BytesIO(content)
    for _ in range(1 if is_archive else NUM_PICKLES):
        operations = [(operation, argument) for operation, argument, _ in pickletools.genops(pickles)]
        _check_calls(operations)
        yield from (str(argument) for operation, argument in operations if operation.name == "GLOBAL")


@dataclass(frozen=True)
class _Pickled:
    """An object that a pickle describes.

    `num_parts` are those of a tuple, with all that it refers to; `name` has module and name of a function or class. An object `is_called` if a
    call makes it, and `holds_called` if it is a tuple with such an object.
    """

    num_parts: int = 0
    name: str = ""
    is_called: bool = False
    holds_called: bool = False


MARK = _Pickled()
FILLING = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD"}
"""Operations that put something into the object below."""


def _check_calls(operations: Iterable[tuple[pickletools.OpcodeInfo, Any]]) -> None:
    """Reject a pickle that makes much of little.

    Its tuples may not repeat themselves too often, and only torch's own functions may be called with the result of another call: a set of a
    tensor that a kilobyte expands to a billion elements takes all memory.
    """
    stack: list[_Pickled] = []
    memo: dict[int, _Pickled] = {}
    num_repeated = 0
    for operation, argument in operations:
        name = operation.name
        if "GET" in name:
            stack.append(memo[argument])
            num_repeated += stack[-1].num_parts
            if num_repeated > MAX_REPEATED:
                raise ValueError(f"its tuples repeat more than {MAX_REPEATED} parts")
            continue
        if "PUT" in name:
            memo[argument] = stack[-1]
            continue
        above: list[_Pickled] = []
        num_popped = len(operation.stack_before)
        if pickletools.markobject in operation.stack_before:
            while (part := stack.pop()) is not MARK:
                above.append(part)
            num_popped = operation.stack_before.index(pickletools.markobject)
        popped = [*stack[len(stack) - num_popped :], *above]
        del stack[len(stack) - num_popped :]
        if name in FILLING:
            if name == "BUILD" and (popped[1].is_called or popped[1].holds_called):
                raise UnpicklingError(f"GLOBAL {popped[0].name.replace(' ', '.')}")
            stack.append(popped[0])
            continue
        is_call, is_tuple = name in ("REDUCE", "NEWOBJ"), name.startswith("TUPLE")
        if is_call and popped[1].holds_called and not OF_TENSORS.match(popped[0].name):
            raise UnpicklingError(f"GLOBAL {popped[0].name.replace(' ', '.')}")
        made = _Pickled(
            num_parts=1 + sum(part.num_parts for part in popped) if is_tuple or is_call else 0,
            name=str(argument) if name == "GLOBAL" else popped[0].name if is_call else "",
            is_called=is_call or name == "BINPERSID",
            holds_called=is_tuple and any(part.is_called or part.holds_called for part in popped),
        )
        stack += [MARK if pushed is pickletools.markobject else made for pushed in operation.stack_after]


def first_line(error: Exception) -> str:
    """Return the first line of a library's error, or its class name."""
    return (str(error) or type(error).__name__).splitlines()[0]


def check_tensors(values: Iterable[object], path: Path) -> None:
    """Reject tensors that `save` would not write, before a network is built.

    Raises:
        BadCheckpoint: a tensor is sparse, quantised, nested or without data, or all together claim more bytes than the file has.
    """
    num_bytes = 0
    for tensor in values:
        if not isinstance(tensor, Tensor):
            continue
        is_plain = type(tensor) in (Tensor, torch.nn.Parameter) and not (tensor.is_nested or tensor.is_quantized or tensor.is_meta)
        if not is_plain or tensor.layout is not torch.strided:
            raise BadCheckpoint(f"{path}: it holds a sparse, quantised, nested or empty tensor; only plain weights are accepted")
        num_bytes += tensor.numel() * tensor.element_size()
    if num_bytes > path.stat().st_size:
        raise BadCheckpoint(f"{path}: its weights claim {size(num_bytes)}, more than the file holds")


def in_short(keys: Iterable[object]) -> str:
    """List the first few keys of an untrusted file."""
    names = [key[:100] if isinstance(key, str) else type(key).__name__ for key in islice(keys, 12)]
    return ", ".join(names).replace("\n", " ") or "nothing"
