#!/usr/bin/env python3
"""Asks a worker and prints its answers in the format of the .txt files beside: `probe.py http://127.0.0.1:8083 < requests`.

A request is one line, `METHOD TARGET [BODY]`, as in the files after `>>> `; other lines are ignored, so a file can be asked again:
`grep '^>>> ' edges-4.3.1.txt | cut -c5- | probe.py URL`. A body is sent as application/json to localhost:8083, unless it begins
with other headers, `{{Name=value;;Name=value}}`. After `\\!` it has Python's escapes, one byte each.
"""
import socket
import sys
import warnings

warnings.simplefilter("ignore")
SKIPPED = ("Server:", "Date:", "Connection:", "Content-Length:", "Cache-Control:")


def request(line):
    method, target, *rest = line.split(" ", 2)
    body = rest[0] if rest else ""
    headers = {"Host": "localhost:8083", "Connection": "close"}
    if body.startswith("{{"):
        given, body = body[2:].split("}}", 1)
        headers.update(pair.split("=", 1) for pair in given.split(";;"))
    elif body:
        headers["Content-Type"] = "application/json"
    data = body.encode()
    if body.startswith("\\!"):
        data = body[2:].encode("unicode_escape").replace(b"\\\\", b"\\").decode("unicode_escape").encode("latin1")
    if data or method in ("POST", "PUT", "PATCH"):
        headers["Content-Length"] = str(len(data))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + data


def answer(host, port, data):
    with socket.create_connection((host, port), timeout=100) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


host, port = sys.argv[1].removeprefix("http://").split(":")
for line in sys.stdin:
    line = line.rstrip("\n")
    if not line or line.startswith("#"):
        continue
    head, _, body = answer(host, int(port), request(line)).partition(b"\r\n\r\n")
    status, *headers = head.decode("latin1").split("\r\n")
    print(f">>> {line}", status, *(h for h in headers if not h.startswith(SKIPPED)), body.decode(), sep="\n")
