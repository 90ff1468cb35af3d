"""Blocked networks: requests from their addresses are refused, in every process within seconds."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries import blocks as queries
from db.tables import Block
from service.domain.audit import Action, Actor, event, record
from service.domain.transactions import Transactions
from service.errors import AddressBlocked, Conflict, Fault, InvalidRequest, NotFound
from service.observability.client_address import read_address

EVERY_S = 2.0
"""Seconds between two looks at the database."""
MAX_BLOCKS = 10_000
_BLOCKED = "Requests from your address are blocked. Ask an administrator."

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Key = tuple[int, int, int]
"""IP version, length of the prefix, and the network's address as a number."""


@dataclass(frozen=True, slots=True)
class NewBlock:
    """A network to block, and why; `expires_at` None: until it is deleted."""

    network: str
    reason: str
    expires_at: datetime | None = None


class Blocks:
    """The blocked networks as this process knows them; `refresh` reads them again."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._expiry: Mapping[_Key, datetime | None] = {}
        self._prefixes: tuple[tuple[int, int], ...] = ()

    def refresh(self) -> int:
        """Read the networks from the database. Returns 0: nothing is changed there."""
        rows = self._transactions.read(queries.list_networks, at=datetime.now(UTC))
        expiry: dict[_Key, datetime | None] = {}
        for text, expires_at in rows:
            key = _key(ipaddress.ip_network(text))
            expiry[key] = _later(expiry[key], expires_at) if key in expiry else expires_at
        self._prefixes = tuple({(version, length) for version, length, _ in expiry})
        self._expiry = expiry
        return 0

    def check(self, address: str | None) -> None:
        """Raise AddressBlocked if requests from an address are refused; an unknown address passes."""
        if not self._expiry:
            return
        client = read_address(address)
        if client is None:  # a proxy may name a client "unknown"
            return
        expiry, now = self._expiry, datetime.now(UTC)
        for version, length in self._prefixes:
            if version != client.version:
                continue
            spare = client.max_prefixlen - length
            key = (version, length, int(client) >> spare << spare)
            if key in expiry and ((until := expiry[key]) is None or until > now):
                raise AddressBlocked(_BLOCKED)

    def add(self, new: NewBlock, *, actor: Actor, client_address: str | None = None) -> Block:
        """Block a network; every process refuses it within seconds, this one at once.

        Raises:
            InvalidRequest: it is no network, or `expires_at` has passed.
            Conflict: it contains the caller's own address or this machine, or there are too many blocks.
        """
        network = _network(new)
        for own in filter(None, (client_address, "127.0.0.1", "::1")):
            address = read_address(own)
            if address is not None and address in network:
                raise Conflict(f"{network} contains {own}, from which you or this machine call.")
        block = self._transactions.run(_add, network, new, actor)
        self.refresh()
        return block

    def remove(self, block_id: UUID, *, actor: Actor) -> None:
        """Delete a block; NotFound if there is none with this id."""
        self._transactions.run(_remove, block_id, actor)
        self.refresh()


def _network(new: NewBlock) -> Network:
    if new.expires_at is not None and new.expires_at <= datetime.now(UTC):
        raise _invalid("expires_at", "This time has passed.")
    try:
        return ipaddress.ip_network(new.network)
    except ValueError as error:
        raise _invalid(
            "network", f"{error}: send an address, or a network such as 192.0.2.0/24."
        ) from error


def _invalid(field: str, message: str) -> InvalidRequest:
    return InvalidRequest.with_faults("The network was not blocked.", [Fault(field, message)])


def _add(session: Session, network: Network, new: NewBlock, actor: Actor) -> Block:
    if queries.count_blocks(session) >= MAX_BLOCKS:
        raise Conflict(f"There are {MAX_BLOCKS:,} blocks; delete some, or block larger networks.")
    block = Block(
        id=uuid_utils.compat.uuid7(),
        network=str(network),
        reason=new.reason,
        created_by=actor.user_id,
        created_at=datetime.now(UTC),
        expires_at=new.expires_at,
    )
    session.add(block)
    _record(session, Action.BLOCK_ADDED, block, actor)
    session.flush()
    return block


def _remove(session: Session, block_id: UUID, actor: Actor) -> None:
    block = queries.get_block(session, block_id)
    if block is None:
        raise NotFound("There is no block with this id; GET /api/v1/admin/blocks lists all.")
    _record(session, Action.BLOCK_REMOVED, block, actor)
    session.delete(block)


def _record(session: Session, action: Action, block: Block, actor: Actor) -> None:
    detail = {"network": block.network}
    record(
        session, event(action, actor=actor, object_type="block", object_id=block.id, detail=detail)
    )


def _key(network: Network) -> _Key:
    return network.version, network.prefixlen, int(network.network_address)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return None if one is None or other is None else max(one, other)
