"""Running commands, and saying what happens."""

import os
import subprocess
import sys
import time


class Failure(Exception):
    """What is told in the table; anything else that is raised is a fault of the runner."""


class Final(Failure):
    """Asking again is of no use."""


def run(*command, check=True, stdin=None, env=None, cwd=None, seconds=600):
    """Runs a command to its end and gives its standard output, without the last line's end."""
    try:
        done = subprocess.run(
            [str(word) for word in command], input=stdin, cwd=cwd, env=os.environ | (env or {}),
            capture_output=True, text=True, errors="replace", timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise Failure(f"{brief(command)}: not done after {seconds} s") from None
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed") from None
    if check and done.returncode:
        raise Failure(f"{brief(command)}: exit code {done.returncode}: {tail(done.stderr or done.stdout)}")
    return done.stdout.rstrip("\n") if check else done


def brief(command):
    text = " ".join(str(word) for word in command)
    return text if len(text) < 120 else text[:117] + "..."


def tail(text, lines=6):
    return " | ".join(line.strip() for line in text.strip().splitlines()[-lines:])


def until(probe, seconds, pause=0.5):
    """Asks until it is answered; the last refusal is the one that counts."""
    end = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except Final:
            raise
        except Failure:
            if time.monotonic() > end:
                raise
        time.sleep(pause)


began = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - began:6.1f}] {text}", file=sys.stderr, flush=True)
