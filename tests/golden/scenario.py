"""Scenario files: requests in the order in which they are made.

    # A comment.
    @worker topic.tracking.enable=false        (before the first step: a worker of its own, with this property)

    ### title, unique in the file
    @wait connector.state=RUNNING tasks.#=1    (ask again until all of this holds; `:status` is the HTTP status, `#` the length)
    @after 1                                   (seconds before it is asked for the first time: what was there before would look the same)
    @mask message: the parser's own words      (not compared, with the reason; `*` is the whole body and its type)
    @keep errors                               (only this view of the body is compared, see VIEWS in answers.py)
    @once                                      (a 409 is the answer, not asked again as others are)
    GET /connectors/$run-a/status
    Header: value                              (a body is JSON unless a Content-Type says otherwise; an empty one sends none)

    body, up to the next step

Besides HTTP methods a step may be `APPEND file` (the body's lines, to a file), `LINES file` (answers with the file's lines) or
`INTERNAL configs|offsets|status text` (answers with what that topic of the worker has for keys that contain the text).
`$run` is an id and `$dir` a folder that only this playing of this file has; `$worker` is the worker's host and port.
"""
import dataclasses, pathlib, re

ORDERS = ("wait", "after", "mask", "keep", "once")


@dataclasses.dataclass
class Step:
    id: str
    method: str = ""
    target: str = ""
    headers: list = dataclasses.field(default_factory=list)
    body: str | None = None
    wait: list = dataclasses.field(default_factory=list)
    masks: dict = dataclasses.field(default_factory=dict)
    keep: str | None = None
    once: bool = False
    after: float = 0


@dataclasses.dataclass
class Scenario:
    name: str
    worker: tuple
    steps: list


def load(path: pathlib.Path) -> Scenario:
    head, *blocks = re.split(r"^### +", path.read_text(), flags=re.M)
    worker = tuple(line.removeprefix("@worker ").strip() for line in head.splitlines() if line.startswith("@worker "))
    steps = [parse(path.stem, block) for block in blocks]
    ids = [step.id for step in steps]
    for id in ids:
        if ids.count(id) > 1:
            raise SystemExit(f"{path}: two steps are called '{id}'")
    return Scenario(path.stem, worker, steps)


def parse(stem, block):
    title, *lines = block.split("\n")
    step = Step(f"{stem}/{title.strip()}")
    lines = [line for line in lines if not line.startswith("# ")]
    while lines and (lines[0].startswith("@") or not lines[0].strip()):
        order(step, lines.pop(0))
    if not lines:
        raise SystemExit(f"{step.id}: no request")
    step.method, _, step.target = lines.pop(0).strip().partition(" ")
    while lines and (header := re.match(r"([A-Za-z-]+):(?: (.*))?$", lines[0])):
        step.headers.append((header[1], (header[2] or "").strip()))
        lines.pop(0)
    body = "\n".join(lines).strip("\n").strip()
    step.body = body or None
    return step


def order(step, line):
    if not line.strip():
        return
    word, _, rest = line[1:].partition(" ")
    if word == "wait":
        step.wait += [clause(text) for text in rest.split()]
    elif word == "after":
        step.after = float(rest)
    elif word == "mask":
        path, _, reason = rest.partition(":")
        if not reason.strip():
            raise SystemExit(f"{step.id}: @mask {path} says no reason")
        step.masks[path.strip()] = reason.strip()
    elif word == "keep":
        step.keep = rest.strip()
    elif word == "once":
        step.once = True
    else:
        raise SystemExit(f"{step.id}: @{word} is none of {', '.join(ORDERS)}")


def clause(text):
    path, operator, value = re.match(r"(.+?)(!=|=)(.*)$", text).groups()
    return path, operator == "=", value


def find(value, path):
    """What a dotted path leads to; `#` is a length, a number an index; keys may have dots themselves. None when it leads nowhere."""
    if path == "#":
        return len(value) if isinstance(value, (list, dict, str)) else None
    if isinstance(value, list):
        part, _, rest = path.partition(".")
        found = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        return find(found, rest) if rest else found
    if isinstance(value, dict):
        if path in value:
            return value[path]
        for end in (n for n, letter in enumerate(path) if letter == "." and path[:n] in value):
            return find(value[path[:end]], path[end + 1:])
    return None


def holds(wait, status, body):
    for path, wanted, text in wait:
        found = status if path == ":status" else find(body, path)
        if (str(found) == text) != wanted:
            return False
    return True
