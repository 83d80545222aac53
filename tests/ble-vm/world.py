"""The wearables and the controller of the guest, in one process, without a radio (Bumble).

The kernel sees the controller through /dev/vhci as hci0. Straps send Heart Rate Measurements with a number in the energy
field; each keeps its own books, so that a program that claims to work can be compared with what was really sent.
"""

import asyncio
import struct

from bumble.att import Attribute
from bumble.controller import Controller
from bumble.core import AdvertisingData, UUID
from bumble.device import Device
from bumble.gatt import (
    GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR,
    Characteristic,
    Service,
)
from bumble.hci import (
    Address,
    HCI_ErrorCode,
    HCI_LE_Connection_Complete_Event,
    HCI_LE_Enhanced_Connection_Complete_Event,
)
from bumble.host import Host
from bumble.link import LocalLink
from bumble.ll import TerminateInd
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import AsyncPipeSink

HEART_RATE = UUID.from_16_bits(0x180D)
MEASUREMENT = UUID.from_16_bits(0x2A37)
# In the host's mask of LE events.
ENHANCED = 1 << 9
# What both events of a new connection say.
CONNECTION = (
    "status", "connection_handle", "role", "peer_address_type", "peer_address", "connection_interval", "peripheral_latency",
    "supervision_timeout", "central_clock_accuracy",
)


class Air(LocalLink):
    """Bumble 0.0.236 sends ACL data from the sender's address of the moment. Linux scans with another address than it
    connects with, so the peer does not know the connection: use the connection's own address."""

    def send_acl_data(self, sender_controller, destination_address, transport, data):
        connection = sender_controller.le_connections.get(destination_address)
        if connection is None:
            super().send_acl_data(sender_controller, destination_address, transport, data)
            return
        source = connection.self_address
        peer = self.find_le_controller(destination_address)
        if peer is not None:
            asyncio.get_running_loop().call_soon(lambda: peer.on_link_acl_data(source, transport, data))


class Dongle(Controller):
    """The gateway's controller; `slots` links at most, 0 = as many as are asked for."""

    slots = refusals = 0

    def send_hci_packet(self, packet):
        """Linux waits for the enhanced event of a controller that has addresses to resolve, and Bumble sends the plain one:
        without this, nothing else is done for 20 s after each connect."""
        if isinstance(packet, HCI_LE_Connection_Complete_Event) and self.le_event_mask & ENHANCED:
            nobody = Address("00:00:00:00:00:00")
            fields = {name: getattr(packet, name) for name in CONNECTION}
            packet = HCI_LE_Enhanced_Connection_Complete_Event(
                local_resolvable_private_address=nobody, peer_resolvable_private_address=nobody, **fields
            )
        super().send_hci_packet(packet)

    def _refused(self, command):
        """A controller without a free slot says so at once."""
        if not self.slots or len(self.le_connections) < self.slots:
            return False
        self.refusals += 1
        self._send_hci_command_status(HCI_ErrorCode.CONNECTION_LIMIT_EXCEEDED_ERROR, command.op_code)
        return True

    def on_hci_le_create_connection_command(self, command):
        return None if self._refused(command) else super().on_hci_le_create_connection_command(command)

    def on_hci_le_extended_create_connection_command(self, command):
        return None if self._refused(command) else super().on_hci_le_extended_create_connection_command(command)

    async def unplug(self):
        """Out of the socket, with whatever links it has: the straps hear nothing any more and give them up."""
        for connection in self.le_connections.values():
            connection.send_ll_control_pdu(TerminateInd(HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR))
        self.link.remove_controller(self)
        await self.port.close()


class Passkey(PairingDelegate):
    """A wearable with six digits on its label."""

    def __init__(self, passkey):
        super().__init__(PairingDelegate.IoCapability.DISPLAY_OUTPUT_ONLY)
        self.passkey = passkey

    async def generate_passkey(self):
        return self.passkey


class Strap:
    """A chest strap. It sends one value a `period` while somebody listens, ends its link after each `drop` values, and
    rests after `limit`."""

    def __init__(self, air, number, *, period=0.25, drop=0, limit=0, bond=False, passkey=None):
        self.address = f"F0:F1:F2:F3:F4:{number:02X}"
        self.period, self.drop, self.limit = period, drop, limit
        self.sent = self.links = self.subscriptions = self.drops = self.bonds = 0
        controller = Controller(f"P{number}", link=air, public_address=f"00:00:00:00:01:{number:02X}")
        host = Host(controller, AsyncPipeSink(controller))
        self.device = Device(name=f"vm strap {number}", address=Address(self.address), host=host)
        self.measurement = Characteristic(
            MEASUREMENT, Characteristic.Properties.NOTIFY, Characteristic.READABLE, b""
        )
        text = lambda uuid, value: Characteristic(
            UUID.from_16_bits(uuid), Characteristic.Properties.READ, Characteristic.READABLE, value
        )
        self.device.add_services([
            Service(HEART_RATE, [self.measurement, text(0x2A38, bytes([1]))]),
            Service(UUID.from_16_bits(0x180A), [
                text(0x2A29, b"vitaltwin sim (test data)"),
                text(0x2A24, b"vm strap"),
                text(0x2A25, f"VM{number:04}".encode()),
            ]),
        ])
        if bond:
            self._protect(passkey)
        self.device.advertising_data = bytes(AdvertisingData([
            (AdvertisingData.FLAGS, bytes([0x06])),
            (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, struct.pack("<H", 0x180D)),
            (AdvertisingData.COMPLETE_LOCAL_NAME, f"vm strap {number}".encode()),
        ]))
        self.connection = None
        self.heard = asyncio.Event()
        self.device.on("connection", self._connected)
        self.measurement.on("subscription", self._subscribed)

    def _protect(self, passkey):
        """Who wants to listen needs an encrypted link, and for a passkey somebody who typed it."""
        needs = Attribute.WRITE_REQUIRES_ENCRYPTION
        if passkey is not None:
            needs |= Attribute.WRITE_REQUIRES_AUTHENTICATION
            delegate = Passkey(passkey)
            self.device.pairing_config_factory = lambda _: PairingConfig(sc=True, mitm=True, bonding=True, delegate=delegate)
        handle = self.measurement.handle
        for attribute in self.device.gatt_server.attributes:
            if attribute.handle > handle and attribute.type == GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR:
                attribute.permissions |= needs
                return
        raise RuntimeError("no descriptor to protect")

    def _connected(self, connection):
        self.connection = connection
        self.links += 1
        connection.on("disconnection", self._disconnected)
        connection.on("pairing", self._paired)

    def _paired(self, keys):
        self.bonds += keys.ltk is not None

    def _disconnected(self, _reason):
        self.connection = None
        self.heard.clear()

    def _subscribed(self, _connection, notify, _indicate):
        if notify:
            self.subscriptions += 1
            self.heard.set()
        else:
            self.heard.clear()

    def books(self):
        return (f"{self.address}: {self.links} links, {self.subscriptions} subscriptions, {self.sent} values, "
                f"{self.drops} drops, {self.bonds} bonds")

    async def run(self):
        await self.device.power_on()
        await self.device.start_advertising(auto_restart=True, advertising_interval_min=250, advertising_interval_max=250)
        while True:
            await self.heard.wait()
            await asyncio.sleep(self.period)
            if not self.heard.is_set() or (self.limit and self.sent >= self.limit):
                continue
            number = self.sent + 1
            # 16-bit rate no, contact yes, energy and one interval.
            value = struct.pack("<BBHH", 0x1E, 60 + number % 60, number, 900 + number % 50)
            await self.device.notify_subscribers(self.measurement, value)
            self.sent = number
            if self.drop and self.sent % self.drop == 0:
                # Time for the value to get through: the drop is not to be blamed for losing it.
                await asyncio.sleep(2 * self.period)
                if self.connection:
                    self.drops += 1
                    await self.connection.disconnect()


async def dongle(air):
    """The controller, plugged in."""
    port = await open_transport("vhci")
    address = "00:AA:BB:CC:DD:EE"
    plugged = Dongle("hci0", host_source=port.source, host_sink=port.sink, link=air, public_address=address)
    plugged.random_address = Address(address, Address.PUBLIC_DEVICE_ADDRESS)
    plugged.port = port
    return plugged
