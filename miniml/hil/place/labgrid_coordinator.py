"""A conversation with labgrid's coordinator: what it knows of places and resources, and requests.

By the gRPC interface that labgrid 24.0 and later ships (labgrid/remote/proto): its own client
class is made for its command line, and prints.
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import queue
import socket
import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import grpc
from labgrid.remote.common import build_dict_from_map
from labgrid.remote.generated import labgrid_coordinator_pb2 as messages
from labgrid.remote.generated import labgrid_coordinator_pb2_grpc as service
from labgrid.resource import NetworkSerialPort
from labgrid.util.proxy import proxymanager
from labgrid.util.version import labgrid_version

from miniml.errors import PortError

DEFAULT_PORT = 20408
CONNECT_S = 10.0
# The coordinator waits 10 s for an exporter's answer.
REQUEST_S = 15.0
# labgrid's own: a coordinator that vanished is noticed within 18 s.
CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 7500),
    ("grpc.keepalive_timeout_ms", 10000),
    ("grpc.http2.ping_timeout_ms", 10000),
    ("grpc.http2.max_pings_without_data", 0),
)


@dataclass(frozen=True)
class Resource:
    """What an exporter exports; `params` and `extra` depend on `cls`."""

    cls: str
    params: dict[str, Any]
    extra: dict[str, Any]
    acquired: str
    avail: bool

    @property
    def machine(self) -> str:
        """The machine that it hangs on, as ssh reaches it; labgrid's own rule."""
        proxy = self.extra.get("proxy") if self.extra.get("proxy_required") else ""
        return str(proxy or self.params["host"])

    def url(self) -> str:
        """Where pyserial finds a NetworkSerialPort; as labgrid's SerialDriver opens it.

        Through ssh where the exporter is isolated or LG_PROXY is set.
        """
        port = NetworkSerialPort(target=None, name=None, **self.params)
        port.extra = self.extra
        host, number = proxymanager.get_host_and_port(port)
        host = f"[{host}]" if ":" in host else host
        if port.protocol == "raw":
            return f"socket://{host}:{number}"
        # ser2net doesn't acknowledge modem lines that the port doesn't have.
        return f"rfc2217://{host}:{number}?ign_set_control&timeout=10"


class Coordinator:
    """An open session; `places` and `resources` (by exporter/group/class/name) are kept up to date.

    `gone` says why the session ended, and is empty while it lasts.
    """

    def __init__(self, address: str) -> None:
        """Connects and waits for all places and resources.

        Raises:
            PortError: nothing answers, or it is no coordinator of this protocol.
        """
        self.user = "/".join(
            (
                os.environ.get("LG_HOSTNAME", socket.gethostname()),
                os.environ.get("LG_USERNAME") or getpass.getuser(),
            )
        )
        self.places: dict[str, Any] = {}
        self.resources: dict[str, Resource] = {}
        self.gone = ""
        self._changed = threading.Condition()
        self._syncs, self._synced = itertools.count(1), 0
        self._out: queue.SimpleQueue[Any] = queue.SimpleQueue()
        target = proxymanager.get_grpc_address(address, default_port=DEFAULT_PORT)
        self._channel = grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=CONNECT_S)
        except grpc.FutureTimeoutError:
            self._channel.close()
            raise PortError(
                f"no labgrid coordinator answers at {target}: set LG_COORDINATOR"
            ) from None
        self._stub = service.CoordinatorStub(self._channel)
        self._stream = self._stub.ClientStream(iter(self._out.get, None))
        threading.Thread(target=self._receive, daemon=True).start()
        startup = messages.StartupDone(version=labgrid_version(), name=self.user)
        self._out.put(messages.ClientInMessage(startup=startup))
        for kind in ("all_places", "all_resources"):
            wish = messages.Subscribe(**{kind: True})
            self._out.put(messages.ClientInMessage(subscribe=wish))
        self.catch_up()
        if self.gone:
            self.close()
            raise PortError(f"{target} is no labgrid coordinator: {self.gone}")

    def close(self) -> None:
        """Ends the session; what was acquired stays so."""
        self._out.put(None)
        self._stream.cancel()
        self._channel.close()

    def wait(self, timeout_s: float) -> None:
        """Returns when something changed, at the latest after the time-out."""
        with self._changed:
            self._changed.wait(timeout_s)

    def wake(self) -> None:
        """Makes `wait` return."""
        with self._changed:
            self._changed.notify_all()

    def catch_up(self) -> None:
        """Waits until all that the coordinator knows by now is in `places` and `resources`."""
        number = next(self._syncs)
        self._out.put(messages.ClientInMessage(sync=messages.Sync(id=number)))
        with self._changed:
            self._changed.wait_for(lambda: self._synced >= number or self.gone, REQUEST_S)

    def acquire(self, place: str) -> str:
        """Acquires a place with all its resources.

        Returns:
            Why not: acquired, reserved, or one of its resources can't be had; empty if it is ours.
        """
        request = messages.AcquirePlaceRequest(placename=place)
        try:
            self._stub.AcquirePlace(request, timeout=REQUEST_S)
        except grpc.RpcError as error:
            return str(error.details())
        self.catch_up()
        return ""

    def release(self, place: str) -> None:
        """Releases a place if it is ours; a coordinator that has gone has released it."""
        request = messages.ReleasePlaceRequest(placename=place, fromuser=self.user)
        self._quietly(self._stub.ReleasePlace, request)

    def reserve(self, tags: dict[str, str]) -> str:
        """Queues for any place with these tags; returns the token.

        Raises:
            PortError: labgrid allows no such tags.
        """
        wish = messages.CreateReservationRequest(prio=0.0)
        wish.filters["main"].filter.update(tags)
        answer = self._request(self._stub.CreateReservation, wish)
        return str(answer.reservation.token)

    def allocated(self, token: str) -> str:
        """The place that a reservation got; empty while it waits. Renews it.

        Raises:
            PortError: it has expired.
        """
        answer = self._request(
            self._stub.PollReservation, messages.PollReservationRequest(token=token)
        )
        return str(answer.reservation.allocations.get("main", ""))

    def cancel_reservation(self, token: str) -> None:
        """Gives it up; one that has expired is gone already."""
        request = messages.CancelReservationRequest(token=token)
        self._quietly(self._stub.CancelReservation, request)

    def matches(self, place: str, path: str, resource: Resource) -> bool:
        """Whether a resource belongs to a place."""
        exporter, group, _, name = path.split("/")
        return any(
            fnmatchcase(exporter, match.exporter)
            and fnmatchcase(group, match.group)
            and fnmatchcase(resource.cls, match.cls)
            and (not match.name or fnmatchcase(name, match.name))
            for match in self.places[place].matches
        )

    def _request(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=REQUEST_S)
        except grpc.RpcError as error:
            raise PortError(self.gone or str(error.details())) from None

    def _quietly(self, method: Any, request: Any) -> None:
        with contextlib.suppress(PortError):
            self._request(method, request)

    def _receive(self) -> None:
        try:
            for message in self._stream:
                with self._changed:
                    for update in message.updates:
                        self._apply(update)
                    if message.HasField("sync"):
                        self._synced = message.sync.id
                    self._changed.notify_all()
            gone = "it ended the session"
        except grpc.RpcError as error:
            gone = " ".join(str(error.details()).split())
        with self._changed:
            self.gone = f"the coordinator is gone: {gone}"
            self._changed.notify_all()

    def _apply(self, update: Any) -> None:
        kind = update.WhichOneof("kind")
        if kind == "place":
            self.places[update.place.name] = update.place
        elif kind == "del_place":
            self.places.pop(update.del_place, None)
        elif kind == "resource":
            new, where = update.resource, update.resource.path
            path = f"{where.exporter_name}/{where.group_name}/{new.cls}/{where.resource_name}"
            params, extra = build_dict_from_map(new.params), build_dict_from_map(new.extra)
            self.resources[path] = Resource(new.cls, params, extra, new.acquired, new.avail)
        elif kind == "del_resource":
            where = update.del_resource
            head, tail = f"{where.exporter_name}/{where.group_name}/", f"/{where.resource_name}"
            for path in [p for p in self.resources if p.startswith(head) and p.endswith(tail)]:
                del self.resources[path]
