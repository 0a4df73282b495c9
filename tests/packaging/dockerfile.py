"""Reads Dockerfiles: instructions with their arguments, as much of the format as ours use."""

import dataclasses
import json
import re
import shlex


@dataclasses.dataclass
class Instruction:
    """One instruction: its name, flags (--from=build), the rest as text, and as a list when it is in JSON form."""

    line: int
    name: str
    flags: dict
    text: str
    words: list


@dataclasses.dataclass
class Stage:
    """What follows a FROM."""

    image: str
    name: str
    instructions: list


class Mistake(Exception):
    """The file cannot be read."""


def instructions(text):
    """Yields the instructions of a Dockerfile."""
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not pending):
            continue
        if not pending:
            start = number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        yield parse(start, pending + line)
        pending = ""
    if pending:
        raise Mistake(f"line {start}: the last line ends in a backslash")


def parse(number, line):
    match = re.match(r"\s*([A-Za-z]+)\s+(.*)$", line, re.DOTALL)
    if not match:
        raise Mistake(f"line {number}: not an instruction: {line}")
    name, rest = match.group(1).upper(), match.group(2).strip()
    flags = {}
    # HEALTHCHECK's flags come before its CMD; RUN's and COPY's before everything.
    while flag := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
        flags[flag.group(1)] = flag.group(2)
        rest = rest[flag.end():]
    words = json.loads(rest) if rest.startswith("[") else None
    if name == "HEALTHCHECK" and rest.startswith("CMD ["):
        words = json.loads(rest[4:])
    return Instruction(number, name, flags, re.sub(r"\s+", " ", rest), words)


def assignments(text):
    """KEY=VALUE pairs of ENV, ARG and LABEL."""
    return [word.partition("=")[::2] for word in shlex.split(text)]


def substitute(text, variables):
    """Replaces $NAME and ${NAME}."""
    return re.sub(r"\$\{?(\w+)\}?", lambda match: variables.get(match.group(1), match.group(0)), text)


def stages(text, arguments=None):
    """The stages of a Dockerfile, and the values of the global ARGs."""
    variables, found = {}, []
    for instruction in instructions(text):
        if instruction.name == "ARG" and not found:
            for key, value in assignments(instruction.text):
                variables[key] = (arguments or {}).get(key, value)
        elif instruction.name == "FROM":
            words = substitute(instruction.text, variables).split()
            name = words[2] if len(words) == 3 and words[1].upper() == "AS" else ""
            found.append(Stage(words[0], name, []))
        elif not found:
            raise Mistake(f"line {instruction.line}: {instruction.name} before FROM")
        else:
            found[-1].instructions.append(instruction)
    return found
