"""Runs the cases of one script and says how each went. Knows no SDK and no dialect.

A case is a function of one argument, the `Ground` it has for itself. It fails by raising.
"""

import hashlib
import logging
import os
import random
import sys
import tempfile
import traceback

# Keys that have broken clients. What a dialect cannot carry is taken away by its script.
ODD_NAMES = [
    "a b",
    "a+b",
    "100%",
    "%41",
    "a%2Fb",
    "中文/é",
    "e\u0301",
    "\U0001f600",
    "\x01x",
    "tab\tcr\rlf\n",
    "a//b",
    "dir/",
    "q?x=1&y#z",
    "'\"<>&;",
    "a\\b",
    "~*()!@$,:[]{}|^`",
]

_CASES = []


def case(function):
    """Marks a function as a case; its name is the promise."""
    _CASES.append(function)
    return function


class Ground:
    """What one case has for itself: a prefix for its keys and a directory for its files."""

    def __init__(self, name, directory):
        self.prefix, self.directory = name.replace("_", "-") + "/", directory

    def key(self, name):
        return self.prefix + name

    def file(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def path(self, name):
        return os.path.join(self.directory, name)


def content(size, seed=1):
    """Bytes that look random and are the same at every run."""
    return random.Random(seed).randbytes(size)


def digest(data):
    """A SHA-256 to compare contents without printing them."""
    return hashlib.sha256(data).hexdigest()


def digest_of(path):
    with open(path, "rb") as file:
        return digest(file.read())


def same(what, got, wanted):
    """Fails unless both are equal."""
    if got != wanted:
        raise AssertionError(f"{what}: {got!r} instead of {wanted!r}")


def true(what, condition):
    """Fails unless it holds."""
    if not condition:
        raise AssertionError(f"not so: {what}")


def refused(what, call, error, wanted, kind_of):
    """Fails unless `call` raises `error`, of which `kind_of` gives `wanted` (status and code)."""
    try:
        answer = call()
    except error as refusal:
        same(what, kind_of(refusal), wanted)
        return refusal
    raise AssertionError(f"{what}: was not refused but answered {answer!r}")


def run(script):
    """Runs every case, one line each; returns how many failed.

    Arguments of the script choose cases by a part of their name.
    """
    logging.disable(logging.CRITICAL)
    wanted = sys.argv[1:]
    failed = []
    for function in _CASES:
        name = function.__name__
        if wanted and not any(part in name for part in wanted):
            continue
        with tempfile.TemporaryDirectory() as directory:
            os.environ["HOME"] = directory  # where SDKs note how far they have come
            try:
                function(Ground(name, directory))
            except Exception as error:  # whatever an SDK raises is a failure of the case
                failed.append(name)
                print(f"FAIL {script}: {name}: {type(error).__name__}: {error}", flush=True)
                if os.environ.get("SDK_TRACEBACKS"):
                    traceback.print_exc()
            else:
                print(f"ok   {script}: {name}", flush=True)
    if failed:
        print(f"{script}: {len(failed)} of {len(_CASES)} cases failed", flush=True)
    return len(failed)
