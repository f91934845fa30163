"""Parse s3:// addresses, and reject those that no server can store an object under."""

import re

from tasks.errors import BadConfiguration, BadInput

MAX_KEY_BYTES = 1024
MAX_NAME_BYTES = 255
UNSTORABLE_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""A listing is XML, which has no spelling for these."""


def split_uri(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key` into bucket and key; the key may be empty.

    Raises:
        BadConfiguration: it is no such address.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise BadConfiguration(f"{uri!r} is not an address in the object store; write s3://bucket/key")
    return bucket, key


def bucket_uri(bucket: str) -> str:
    """Return the address of a bucket."""
    return f"s3://{bucket}"


def without_scheme(uri: str) -> str:
    """Return the bucket, or the folder in it, as people name it elsewhere."""
    return uri.removeprefix("s3://").rstrip("/")


def as_folder(uri: str) -> str:
    """Add the slash at the end of a folder's address, if it is missing."""
    return f"{uri.rstrip('/')}/"


def names_object(uri: str) -> bool:
    """Check whether an s3:// address has both a bucket and a key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bool(bucket and key)


def check_key(uri: str) -> None:
    """Reject an address under which no server can store an object.

    Raises:
        BadInput: a name in it is too long for a file's, is `.` or `..`, or holds characters that no listing can spell.
        BadConfiguration: it is no address.
    """
    _, key = split_uri(uri)
    if found := UNSTORABLE_CHARACTERS.search(key):
        raise BadInput(f"its name holds {found[0]!r}, which no object store can list; rename the file ({uri!r})")
    # Servers that store objects as files treat a backslash as a slash.
    for name in key.replace("\\", "/").split("/"):
        if name in (".", ".."):
            raise BadInput(f"its name holds {name!r} as the name of a folder, which no object store takes; rename the file ({uri!r})")
        if (num_bytes := len(name.encode())) > MAX_NAME_BYTES:
            raise BadInput(f"its name in the object store has {num_bytes} bytes, and {MAX_NAME_BYTES} are the limit; rename the file")
    if (num_bytes := len(key.encode())) > MAX_KEY_BYTES:
        raise BadInput(f"its path in the object store has {num_bytes} bytes, and {MAX_KEY_BYTES} are the limit; choose shorter names")
