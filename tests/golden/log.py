"""Reads a topic byte for byte: as much of Kafka's protocol as that needs, so that no tool's printing comes between."""
import socket, struct


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def bytes(self, length):
        self.at += max(length, 0)
        return None if length < 0 else self.data[self.at - length:self.at]

    def text(self):
        return (self.bytes(self.take("h")) or b"").decode()

    def array(self, item):
        return [item() for _ in range(self.take("i"))]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)


def ask(address, key, version, body):
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        request = struct.pack(">hhih", key, version, 1, -1) + body
        connection.sendall(struct.pack(">i", len(request)) + request)
        file = connection.makefile("rb")
        size, = struct.unpack(">i", file.read(4))
        reader = Reader(file.read(size))
        reader.take("i")
        return reader


def named(topic):
    return struct.pack(">h", len(topic)) + topic.encode()


def leaders(bootstrap, topic):
    """Partition to address of its leader."""
    answer = ask(bootstrap.split(",")[0], 3, 4, struct.pack(">i", 1) + named(topic) + b"\0")  # the 0: do not create it
    answer.take("i")
    brokers = {}
    for _ in range(answer.take("i")):
        node, host, port = answer.take("i"), answer.text(), answer.take("i")
        answer.text()
        brokers[node] = f"{host}:{port}"
    answer.text(), answer.take("i")
    partitions = {}
    for _ in range(answer.take("i")):
        answer.take("h"), answer.text(), answer.take("b")
        for _ in range(answer.take("i")):
            _, partition, leader = answer.take("hii")
            answer.array(lambda: answer.take("i")), answer.array(lambda: answer.take("i"))
            if leader in brokers:
                partitions[partition] = brokers[leader]
    return partitions


def read(bootstrap, topic):
    """All records of a topic: partition, key, value, partition by partition."""
    for partition, address in sorted(leaders(bootstrap, topic).items()):
        offset = 0
        while True:
            body = struct.pack(">iiiibi", -1, 100, 1, 64 << 20, 0, 1) + named(topic) + struct.pack(">iiqi", 1, partition, offset, 64 << 20)
            answer = ask(address, 1, 4, body)
            answer.take("ii"), answer.text(), answer.take("i")
            _, error, end, _ = answer.take("ihqq")
            if error:
                raise SystemExit(f"{topic}-{partition}: Kafka answers error {error}")
            answer.array(lambda: answer.take("qq"))
            for next_offset, key, value in batches(Reader(answer.bytes(answer.take("i")) or b""), offset):
                offset = next_offset
                if key is not None:
                    yield partition, key, value
            if offset >= end:
                break


def batches(data, wanted):
    """The records from an offset on: next offset, key, value; control records have no key."""
    while data.at + 12 <= len(data.data):
        base, length = data.take("qi")
        after = data.at + length
        if after > len(data.data):
            return
        _, _, _, attributes, last = data.take("ibihi")
        data.take("qqqhi")
        count = data.take("i")
        if attributes & 7:
            raise SystemExit("compressed records are not read here: both engines write these topics uncompressed by default")
        for _ in range(0 if attributes & 0x20 else count):
            data.varint(), data.take("b"), data.varint()
            offset = base + data.varint()
            key = data.bytes(data.varint())
            value = data.bytes(data.varint())
            for _ in range(data.varint()):
                data.bytes(data.varint()), data.bytes(data.varint())
            if offset >= wanted:
                yield offset + 1, key, value
        data.at = after
        yield max(base + last + 1, wanted), None, None


def place(key, partitions):
    """Where Kafka's Java producer puts a key: murmur2 of its bytes."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    whole = len(key) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at:at + 4], "little") * m & mask
        h = h * m & mask ^ (k ^ k >> 24) * m & mask
    if rest := key[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions
