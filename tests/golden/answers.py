"""What is compared of an answer, and how it is made comparable: masks with reasons (masks.toml), views, order of sets."""
import json, pathlib, re, tomllib
from scenario import find

HEADERS = ("Content-Type", "Location", "Allow", "Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
           "Access-Control-Allow-Credentials", "Access-Control-Max-Age", "X-Golden", "X-Other")
SETS = ("Allow", "Access-Control-Allow-Methods")
MASKS = tomllib.loads((pathlib.Path(__file__).parent / "masks.toml").read_text())
TEXTS = [(re.compile(mask["pattern"], re.S), mask["with"]) for mask in MASKS["text"]]
LOOSE = re.compile(MASKS["order"]["keys"])
FIELDS = {mask["name"]: mask["with"] for mask in MASKS["field"]}


def comparable(step, status, headers, raw, names):
    """The answer as it is recorded. `names` maps this run's values to $names, longest first."""
    for value, name in names:
        raw = raw.replace(value, name)
    kept = {}
    for header in HEADERS:
        if header.lower() in headers:
            value = headers[header.lower()]
            for own, name in names:
                value = value.replace(own, name)
            kept[header] = value
    answer = {"status": status, "headers": kept}
    body = body_of(raw, kept)
    if step.method == "OPTIONS" and isinstance(body, str):
        body = in_order(body)
    if body is not None:
        answer["body"] = body
    return masked(step, answer)


def masked(step, answer):
    """Without what is not compared: of the step, and everywhere."""
    answer = neutral(answer)
    for header in SETS:
        if header in answer.get("headers", {}):
            answer["headers"][header] = in_order(answer["headers"][header])
    if answer.get("status") == MASKS["refused"]["status"]:
        answer["headers"].pop("Allow", None)
    if step and "*" in step.masks:
        answer["headers"].pop("Content-Type", None)
        answer.pop("body", None)
    if step and "body" in answer:
        answer["body"] = mask(step, view(step, answer["body"]))
    return answer


def body_of(raw, headers):
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def in_order(methods):
    return ", ".join(sorted(method.strip() for method in methods.split(",")))


def neutral(value, name=None):
    """Without what differs from run to run."""
    if isinstance(value, dict):
        return {key: neutral(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        if name == "recommended_values":
            value = [inner for inner in value if not str(inner).startswith(MASKS["installed"]["classes"])]
        return [neutral(inner, name) for inner in value if not ours(inner)]
    if name in FIELDS and value is not None and not isinstance(value, bool):
        return FIELDS[name]
    if isinstance(value, str):
        if name == "trace":
            value = value.split("\n", 1)[0]
        for pattern, instead in TEXTS:
            value = pattern.sub(instead, value)
    return value


def ours(entry):
    """Is it a key, or a group of keys, that only Millrace has?"""
    if isinstance(entry, dict):
        entry = entry["definition"].get("name") if isinstance(entry.get("definition"), dict) else entry.get("name")
    return isinstance(entry, str) and (entry.startswith(MASKS["own"]["keys"]) or entry == MASKS["own"]["group"])


def mask(step, body):
    for path in step.masks:
        holder, _, last = path.rpartition(".")
        inner = find(body, holder) if holder else body
        if isinstance(inner, dict) and last in inner:
            inner[last] = "$masked"
    return body


def view(step, body):
    return VIEWS[step.keep](body) if step.keep else body


def errors(body):
    """Of a validation: keys in order, values, and what is wrong. The definitions are compared elsewhere."""
    if not isinstance(body, dict) or "configs" not in body:
        return body
    return {**{key: body[key] for key in ("name", "error_count", "groups")},
            "keys": [config["value"]["name"] for config in body["configs"]],
            "values": {config["value"]["name"]: config["value"]["value"] for config in body["configs"] if config["value"]["value"] is not None},
            "errors": {config["value"]["name"]: config["value"]["errors"] for config in body["configs"] if config["value"]["errors"]}}


def in_one_order(body):
    """Of a validation: keys that come in the order of a hash map, and their groups, in that of the alphabet, at the end."""
    if not isinstance(body, dict) or not {"keys", "groups"} <= set(body):
        return body
    loose = {key for key in body["keys"] if LOOSE.match(key)}
    late = [group for group in body["groups"] if group in MASKS["order"]["groups"]]
    return {**body, "keys": [key for key in body["keys"] if key not in loose] + sorted(loose),
            "groups": [group for group in body["groups"] if group not in late] + sorted(late)}


def apache(body):
    """Of a list of plugins: Apache's own. Others are what happens to be installed."""
    return [entry for entry in body if entry.get("class", "").startswith("org.apache.kafka.connect.")] if isinstance(body, list) else body


def levels(body):
    """Of loggers: the shape. Names are those of the program's modules."""
    if isinstance(body, list):
        return {"list": sorted({type(entry).__name__ for entry in body})}
    if isinstance(body, dict) and not {"error_code", "level", "list", "fields"} & set(body):
        return {"fields": sorted({key for entry in body.values() for key in entry}), "root": body.get("root")}
    return body


def tasks(body):
    """A status with its tasks by number: the answer to a restart has them in the order of a hash map."""
    return {**body, "tasks": sorted(body["tasks"], key=lambda task: task["id"])} if isinstance(body, dict) and "tasks" in body else body


# Each leaves its own result as it is: recordings have gone through it already.
VIEWS = {"errors": lambda body: in_one_order(errors(body)), "apache": apache, "levels": levels, "tasks": tasks}


def same(one, other):
    """Equal as JSON: 1 is not 1.0 nor true; the order of an object's keys does not matter."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def differences(expected, found, path=""):
    """Where two answers differ, a line each."""
    if same(expected, found):
        return
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in list(expected) + [key for key in found if key not in expected]:
            if key not in found:
                yield f"{path}.{key} is missing, expected {brief(expected[key])}"
            elif key not in expected:
                yield f"{path}.{key} is unexpected: {brief(found[key])}"
            else:
                yield from differences(expected[key], found[key], f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for n, (left, right) in enumerate(zip(expected, found)):
            yield from differences(left, right, f"{path}[{n}]")
    elif isinstance(expected, list) and isinstance(found, list) and all(isinstance(x, str) for x in expected + found):
        lost, more = [x for x in expected if x not in found], [x for x in found if x not in expected]
        yield f"{path}: without {lost}, with {more}" if lost or more else f"{path}: another order: {brief(found)}, expected {brief(expected)}"
    else:
        yield f"{path}: {brief(found)}, expected {brief(expected)}"


def brief(value):
    text = json.dumps(value)
    return text if len(text) < 420 else text[:400] + "…"
