"""A client that was not written here: gRPC's own, in Python, with reflection and health.

Usage: client.py HOST:PORT CREDENTIAL, CREDENTIAL being what `login` or the master writes.
"""

import re
import sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

address, credential = sys.argv[1:]
with open(credential, encoding="ascii") as file:
    blocks = [(block[1], block[0].encode()) for block in re.finditer(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----\n", file.read(), re.S)]
certificates = [block for kind, block in blocks if kind == "CERTIFICATE"]
key = next(block for kind, block in blocks if kind.endswith("PRIVATE KEY"))
own, authority = certificates


def connect(**shown):
    """A channel to the master, whose server name is the same for all masters."""
    credentials = grpc.ssl_channel_credentials(root_certificates=authority, **shown)
    return grpc.secure_channel(address, credentials, [("grpc.ssl_target_name_override", "sloth-master")])


def ask(channel, **request):
    """One question to reflection, and its answer."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    return next(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**request)]), timeout=10))


def refused(act, *codes):
    """What is refused, is refused with one of these codes."""
    try:
        answer = act()
    except grpc.RpcError as error:
        assert error.code() in codes, f"{error.code()}: {error.details()}"
        return error.code().name
    raise AssertionError(f"it was answered: {answer}")


with connect(private_key=key, certificate_chain=own) as channel:
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert health.status == health_pb2.HealthCheckResponse.SERVING, health
    print("health: serving")

    services = [s.name for s in ask(channel, list_services="").list_services_response.service]
    assert {"sloth.v1.Fleet", "sloth.v1.Session", "sloth.v1.Enrolment", "grpc.health.v1.Health"} <= set(services)
    print("reflection:", ", ".join(sorted(services)))

    # What reflection tells is enough to make a call of it.
    files = ask(channel, file_containing_symbol="sloth.v1.Fleet").file_descriptor_response.file_descriptor_proto
    told = [FileDescriptorProto.FromString(file) for file in files]
    pool = descriptor_pool.DescriptorPool()
    known = {file.name: file for file in told}

    def add(name):
        """Adds a file after those that it needs."""
        file = known.pop(name, None)
        if file is None:
            return
        for needed in file.dependency:
            if needed not in known:
                answer = ask(channel, file_by_filename=needed).file_descriptor_response.file_descriptor_proto
                known.update({f.name: f for f in map(FileDescriptorProto.FromString, answer) if f.name == needed and not has(f.name)})
            add(needed)
        pool.Add(file)

    def has(name):
        """Whether the pool has a file."""
        try:
            return bool(pool.FindFileByName(name))
        except KeyError:
            return False

    for name in list(known):
        add(name)
    asks = message_factory.GetMessageClass(pool.FindMessageTypeByName("sloth.v1.ListAgentsRequest"))
    answers = message_factory.GetMessageClass(pool.FindMessageTypeByName("sloth.v1.ListAgentsResponse"))
    listing = channel.unary_unary(
        "/sloth.v1.Fleet/ListAgents",
        request_serializer=asks.SerializeToString,
        response_deserializer=answers.FromString,
    )
    print("agents:", len(listing(asks(), timeout=10).agents))

with connect() as channel:
    unproven = [grpc.StatusCode.UNAUTHENTICATED]
    print("reflection without a certificate:", refused(lambda: ask(channel, list_services=""), *unproven))
    plain = channel.unary_unary("/sloth.v1.Fleet/ListAgents", lambda request: request, lambda answer: answer)
    print("a call without a certificate:", refused(lambda: plain(b"", timeout=10), *unproven))
    session = channel.stream_stream("/sloth.v1.Session/Control", lambda request: request, lambda answer: answer)
    print("a session without a certificate:", refused(lambda: next(session(iter([b""]), timeout=10)), *unproven))

with grpc.insecure_channel(address) as channel:
    away = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED]
    health = health_pb2_grpc.HealthStub(channel)
    print("without TLS:", refused(lambda: health.Check(health_pb2.HealthCheckRequest(), timeout=5), *away))
